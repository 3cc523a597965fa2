/*
 * Clusters of blocks: what a block knows of its place, the cluster's barrier, and other blocks'
 * shared memory. For devices of compute capability 9.0 and later.
 */
#include "conform.h"

#define HEAD	".version 8.1\n.target sm_90\n.address_size 64\n"
#define THREADS 64
#define WORDS	16 /* of a block's answers */

/* clang-format off */
/* %r0: the block's number; %d0: its answers. */
#define BEGIN                                                                                      \
	".reg .b64 %d<9>; .reg .b32 %r<40>; .reg .pred %p<4>;\n"                                    \
	"ld.param.u64 %d0, [out];\n"                                                                \
	"mov.u32 %r1, %ctaid.z; mov.u32 %r2, %nctaid.y; mov.u32 %r3, %ctaid.y;\n"                    \
	"mad.lo.u32 %r0, %r1, %r2, %r3; mov.u32 %r2, %nctaid.x; mov.u32 %r3, %ctaid.x;\n"            \
	"mad.lo.u32 %r0, %r0, %r2, %r3; mad.wide.u32 %d0, %r0, 64, %d0;\n"                           \
	"mov.u32 %r1, %tid.x; setp.ne.u32 %p0, %r1, 0;\n"
#define MEET "barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;\n"

static const char places_ptx[] = HEAD
    ".visible .entry places(.param .u64 out) {\n" BEGIN
    "@%p0 ret;\n"
    "mov.u32 %r2, %clusterid.x; mov.u32 %r3, %clusterid.y; mov.u32 %r4, %clusterid.z; mov.u32 %r5, %cluster_ctarank;\n"
    "st.global.v4.u32 [%d0], {%r2, %r3, %r4, %r5};\n"
    "mov.u32 %r2, %cluster_ctaid.x; mov.u32 %r3, %cluster_ctaid.y; mov.u32 %r4, %cluster_ctaid.z; mov.u32 %r5, %cluster_nctarank;\n"
    "st.global.v4.u32 [%d0+16], {%r2, %r3, %r4, %r5};\n"
    "mov.u32 %r2, %nclusterid.x; mov.u32 %r3, %nclusterid.y; mov.u32 %r4, %nclusterid.z;\n"
    "mov.pred %p1, %is_explicit_cluster; selp.u32 %r5, 1, 0, %p1;\n"
    "st.global.v4.u32 [%d0+32], {%r2, %r3, %r4, %r5};\n"
    "mov.u32 %r2, %cluster_nctaid.x; mov.u32 %r3, %cluster_nctaid.y; mov.u32 %r4, %cluster_nctaid.z;\n"
    "st.global.v4.u32 [%d0+48], {%r2, %r3, %r4, %r0};\n"
    "ret; }\n";

/* Each thread reads from the next block; all add to a sum in block 0 of the cluster. */
static const char memory_ptx[] = HEAD
    ".visible .entry memory(.param .u64 out) .reqnctapercluster 4, 1, 1 {\n" BEGIN
    ".shared .b32 own[64]; .shared .b32 sum; .shared .b64 wide;\n"
    "mov.u32 %r10, own; mad.lo.u32 %r11, %r1, 4, %r10; mad.lo.u32 %r12, %r0, 1000, %r1;\n"
    "st.shared.u32 [%r11], %r12; st.shared.u32 [sum], 0; st.shared.u64 [wide], 0;\n" MEET
    "mov.u32 %r13, %cluster_ctarank; add.u32 %r13, %r13, 1; and.b32 %r13, %r13, 3;\n"
    "mapa.shared::cluster.u32 %r14, %r11, %r13; ld.shared::cluster.u32 %r15, [%r14];\n"
    "cvt.u64.u32 %d1, %r11; cvta.shared.u64 %d1, %d1; mapa.u64 %d2, %d1, %r13; ld.u32 %r16, [%d2];\n"
    "getctarank.shared::cluster.u32 %r17, %r14; getctarank.u64 %r18, %d2;\n"
    "isspacep.shared::cluster %p1, %d2; selp.u32 %r19, 1, 0, %p1; isspacep.shared %p1, %d2; selp.u32 %r20, 1, 0, %p1;\n"
    "cvta.to.shared::cluster.u64 %d3, %d2; cvt.u32.u64 %r21, %d3; ld.shared::cluster.u32 %r21, [%r21];\n"
    "mov.u32 %r22, sum; mapa.shared::cluster.u32 %r22, %r22, 0;\n"
    "atom.relaxed.cluster.shared::cluster.add.u32 %r23, [%r22], %r12;\n"
    "mov.u64 %d4, wide; cvta.shared.u64 %d4, %d4; mapa.u64 %d4, %d4, 0;\n"
    "cvt.u64.u32 %d5, %r12; atom.relaxed.cluster.add.u64 %d6, [%d4], %d5;\n"
    /* the last word of the next block's memory, changed from here */
    "mapa.shared::cluster.u32 %r24, %r10, %r13; setp.eq.u32 %p2, %r1, 63; @%p2 st.shared::cluster.u32 [%r24+252], 77;\n" MEET
    "ld.shared.u32 %r25, [own+252];\n"
    "ld.shared::cluster.u32 %r26, [%r22]; ld.u64 %d7, [%d4]; cvt.u32.u64 %r27, %d7;\n" MEET
    "setp.ne.u32 %p0, %r1, 5; @%p0 ret;\n"
    "st.global.v4.u32 [%d0], {%r15, %r16, %r17, %r18}; st.global.v4.u32 [%d0+16], {%r19, %r20, %r21, %r25};\n"
    "st.global.v2.u32 [%d0+32], {%r26, %r27};\n"
    "ret; }\n";

/* Half of the threads leave at once; the others arrive, work, and wait, ten times. */
static const char phases_ptx[] = HEAD
    ".visible .entry phases(.param .u64 out) {\n" BEGIN
    ".shared .b32 box;\n"
    "setp.ge.u32 %p1, %r1, 32; @%p1 ret;\n"
    "mov.u32 %r10, %cluster_ctarank; xor.b32 %r11, %r10, 1; mov.u32 %r12, box; mapa.shared::cluster.u32 %r12, %r12, %r11;\n"
    "@!%p0 st.shared.u32 [box], %r10;\n"
    "mov.u32 %r13, 0; mov.u32 %r14, 0;\n"
    "AGAIN: barrier.cluster.arrive.release; add.u32 %r13, %r13, 1; barrier.cluster.wait.acquire;\n"
    "ld.shared::cluster.u32 %r15, [%r12]; barrier.cluster.arrive; barrier.cluster.wait;\n"
    "mad.lo.u32 %r14, %r14, 3, %r15; @!%p0 st.shared.u32 [box], %r14;\n"
    "setp.lt.u32 %p2, %r13, 10; @%p2 bra AGAIN;\n"
    "barrier.cluster.arrive.relaxed; barrier.cluster.wait;\n"
    "@%p0 ret; st.global.v2.u32 [%d0], {%r14, %r13}; ret; }\n";

/* Block 0 copies to all blocks of the cluster; each also tells the next one's mbarrier, twice. */
static const char copies_ptx[] = HEAD
    ".visible .entry copies(.param .u64 out, .param .u64 in) .reqnctapercluster 2, 1, 1 {\n" BEGIN
    ".shared .align 128 .b8 data[256]; .shared .align 8 .b64 full; .shared .align 8 .b64 told;\n"
    ".reg .b16 %h0;\n"
    "ld.param.u64 %d1, [in]; mov.u32 %r10, data; mov.u32 %r11, full; mov.u32 %r12, told;\n"
    "mov.u32 %r13, %cluster_ctarank; xor.b32 %r14, %r13, 1;\n"
    "@%p0 bra READY;\n"
    "mbarrier.init.shared::cta.b64 [%r11], 1; mbarrier.init.shared::cta.b64 [%r12], 2;\n"
    "fence.mbarrier_init.release.cluster; mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r11], 144;\n"
    "READY:\n" MEET
    "mapa.shared::cluster.u32 %r15, %r12, %r14; setp.lt.u32 %p1, %r1, 2;\n"
    "@%p1 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r15];\n"
    "mapa.shared::cluster.u32 %r16, %r11, %r14; mapa.shared::cluster.u32 %r17, %r10, %r14; mov.u32 %r18, 5;\n"
    "@!%p0 st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%r17+128], {%r18, %r13, %r14, %r0}, [%r16];\n"
    "setp.ne.u32 %p2, %r13, 0; or.pred %p2, %p2, %p0; mov.u16 %h0, 3;\n"
    "@!%p2 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r10], [%d1], 128, [%r11], %h0;\n"
    "WAIT: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p3, [%r11], 0; @!%p3 bra WAIT;\n"
    "TOLD: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p3, [%r12], 0; @!%p3 bra TOLD;\n"
    "mad.lo.u32 %r19, %r1, 4, %r10; setp.ge.u32 %p3, %r1, 36; @%p3 bra DONE;\n"
    "mad.wide.u32 %d2, %r1, 4, %d0; ld.shared.u32 %r20, [%r19];\n"
    "mul.wide.u32 %d3, %r0, 128; add.u64 %d2, %d2, %d3; st.global.u32 [%d2], %r20;\n"
    "DONE:\n" MEET "ret; }\n";
/* clang-format on */

static CUdevice begin(void)
{
	CUdevice device = conform_begin();
	int has;

	OK(cuDeviceGetAttribute(&has, CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH, device));
	if (!has)
		SKIP("the device has no clusters");
	return device;
}

static CUresult launch(
    CUfunction kernel, const unsigned grid[3], const unsigned cluster[3], void **values)
{
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION};
	CUlaunchConfig config = {.gridDimX = grid[0],
	    .gridDimY = grid[1],
	    .gridDimZ = grid[2],
	    .blockDimX = THREADS,
	    .blockDimY = 1,
	    .blockDimZ = 1,
	    .attrs = &attribute,
	    .numAttrs = cluster ? 1 : 0};

	if (cluster) {
		attribute.value.clusterDim.x = cluster[0];
		attribute.value.clusterDim.y = cluster[1];
		attribute.value.clusterDim.z = cluster[2];
	}
	return cuLaunchKernelEx(&config, kernel, values, NULL);
}

static CUdeviceptr zeroed(size_t bytes)
{
	CUdeviceptr memory;

	OK(cuMemAlloc(&memory, bytes));
	OK(cuMemsetD8(memory, 0, bytes));
	return memory;
}

CONFORM(places_of_blocks)
{
	const unsigned grid[3] = {6, 4, 3}, cluster[3] = {3, 2, 1};
	uint32_t words[72][WORDS];
	begin();
	CUfunction kernel = conform_kernel_of(places_ptx, "places");
	CUdeviceptr out = zeroed(sizeof(words));

	OK(launch(kernel, grid, cluster, (void *[]){&out}));
	OK(cuMemcpyDtoH(words, out, sizeof(words)));
	for (uint32_t i = 0; i < 72; i++) {
		uint32_t x = i % 6, y = i / 6 % 4, z = i / 24;
		const uint32_t want[WORDS] = {x / 3, y / 2, z, x % 3 + 3 * (y % 2), x % 3, y % 2, 0,
		    6, 2, 2, 3, 1, 3, 2, 1, i};

		CHECK_BYTES(words[i], want, sizeof(want));
	}
	/* Without a cluster each block is one. */
	OK(launch(kernel, grid, NULL, (void *[]){&out}));
	OK(cuMemcpyDtoH(words, out, sizeof(words)));
	for (uint32_t i = 0; i < 72; i++) {
		const uint32_t want[WORDS] = {
		    i % 6, i / 6 % 4, i / 24, 0, 0, 0, 0, 1, 6, 4, 3, 0, 1, 1, 1, i};

		CHECK_BYTES(words[i], want, sizeof(want));
	}
}

CONFORM(memory_of_other_blocks)
{
	const unsigned grid[3] = {12, 1, 1};
	uint32_t words[12][WORDS];
	begin();
	CUdeviceptr out = zeroed(sizeof(words));

	OK(launch(conform_kernel_of(memory_ptx, "memory"), grid, NULL, (void *[]){&out}));
	OK(cuMemcpyDtoH(words, out, sizeof(words)));
	for (uint32_t i = 0; i < 12; i++) {
		uint32_t first = i / 4 * 4, next = first + (i + 1) % 4, sum = 0;

		for (uint32_t b = first; b < first + 4; b++)
			for (uint32_t t = 0; t < THREADS; t++)
				sum += b * 1000 + t;
		const uint32_t want[10] = {next * 1000 + 5, next * 1000 + 5, next % 4, next % 4, 1,
		    0, next * 1000 + 5, 77, sum, sum};
		CHECK_BYTES(words[i], want, sizeof(want));
	}
}

static void check_phases(bool is_cooperative)
{
	uint32_t words[4][WORDS], value[2] = {0, 0}, box[2] = {0, 1};
	CUdeviceptr out = zeroed(sizeof(words));
	CUlaunchAttribute attributes[2] = {
	    {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, .value.clusterDim = {2, 1, 1}},
	    {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE, .value.cooperative = is_cooperative},
	};
	CUlaunchConfig config = {.gridDimX = 4,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = THREADS,
	    .blockDimY = 1,
	    .blockDimZ = 1,
	    .attrs = attributes,
	    .numAttrs = 2};

	for (unsigned i = 0; i < 10; i++) {
		uint32_t seen[2] = {box[1], box[0]};

		for (unsigned rank = 0; rank < 2; rank++)
			box[rank] = value[rank] = value[rank] * 3 + seen[rank];
	}
	OK(cuLaunchKernelEx(
	    &config, conform_kernel_of(phases_ptx, "phases"), (void *[]){&out}, NULL));
	OK(cuMemcpyDtoH(words, out, sizeof(words)));
	for (uint32_t i = 0; i < 4; i++) {
		CHECK_EQ(words[i][0], value[i % 2]);
		CHECK_EQ(words[i][1], 10);
	}
}

CONFORM(the_barrier_has_phases)
{
	begin();
	check_phases(false);
	check_phases(true);
}

CONFORM(copies_to_all_blocks)
{
	const unsigned grid[3] = {4, 1, 1};
	uint32_t words[4][48], in[32];
	begin();
	CUdeviceptr out = zeroed(sizeof(words)), from = zeroed(sizeof(in));

	for (uint32_t i = 0; i < 32; i++)
		in[i] = i * i + 3;
	OK(cuMemcpyHtoD(from, in, sizeof(in)));
	OK(launch(conform_kernel_of(copies_ptx, "copies"), grid, NULL, (void *[]){&out, &from}));
	OK(cuMemcpyDtoH(words, out, sizeof(words)));
	for (uint32_t i = 0; i < 4; i++) {
		const uint32_t want[4] = {5, (i & 1) ^ 1, i & 1, i ^ 1};

		CHECK_BYTES(words[i], in, sizeof(in));
		CHECK_BYTES(words[i] + 32, want, sizeof(want));
	}
}

CONFORM(what_a_launch_refuses)
{
	const unsigned grid[3] = {6, 1, 1}, other[3] = {2, 1, 1}, odd[3] = {4, 1, 1},
		       many[3] = {9, 1, 1}, nine[3] = {9, 1, 1};
	begin();
	CUfunction places = conform_kernel_of(places_ptx, "places"),
		   copies = conform_kernel_of(copies_ptx, "copies");
	CUdeviceptr out = zeroed(4096);
	void *values[] = {&out, &out};
	int value;

	OK(launch(places, grid, other, values));
	CHECK(launch(places, grid, odd, values) != CUDA_SUCCESS);
	CHECK_EQ(launch(places, nine, many, values), CUDA_ERROR_INVALID_CLUSTER_SIZE);
	OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH, copies));
	CHECK_EQ(value, 2);
	OK(cuCtxSynchronize());
}

CONFORM(occupancy_of_clusters)
{
	CUlaunchAttribute attribute = {
	    .id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, .value.clusterDim = {4, 1, 1}};
	CUlaunchConfig config = {.gridDimX = 64,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = 256,
	    .blockDimY = 1,
	    .blockDimZ = 1,
	    .attrs = &attribute,
	    .numAttrs = 1};
	int of_four, of_two, largest;

	begin();
	CUfunction kernel = conform_kernel_of(places_ptx, "places");
	OK(cuOccupancyMaxActiveClusters(&of_four, kernel, &config));
	attribute.value.clusterDim.x = 2;
	OK(cuOccupancyMaxActiveClusters(&of_two, kernel, &config));
	CHECK(of_four > 0 && of_two >= of_four);
	OK(cuOccupancyMaxPotentialClusterSize(&largest, kernel, &config));
	CHECK_EQ(largest, 8);
	OK(cuFuncSetAttribute(kernel, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1));
	OK(cuOccupancyMaxPotentialClusterSize(&largest, kernel, &config));
	CHECK_EQ(largest, 16);
}
