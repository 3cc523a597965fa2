/* Bulk copies, reductions and remote stores, and the mbarriers they complete. */
#include <math.h>

#include "softgpu/exec/ptxas.h"
#include "softgpu/exec/tensor.h"
#include "softgpu/exec/test-machine.h"

#define HEAD ".version 8.6\n.target sm_100\n.address_size 64\n"

/* clang-format off */
/* A kernel of one warp: thread 0 does `body`, all wait for the mbarrier, then each has its number
 * in %r1, the device memory in %d1 and 256 words of shared memory at s. */
static const char frame[] = HEAD
    ".visible .entry k(.param .u64 memory) {\n"
    ".reg .b64 %%d<9>; .reg .b32 %%r<9>; .reg .pred %%p<3>;\n"
    ".shared .align 128 .b8 s[1024]; .shared .align 8 .b64 bar;\n"
    "ld.param.u64 %%d1, [memory]; mov.u32 %%r1, %%tid.x; mov.u32 %%r2, s; mov.u32 %%r3, bar;\n"
    "setp.ne.u32 %%p1, %%r1, 0; @%%p1 bra WAIT;\n"
    "mbarrier.init.shared::cta.b64 [%%r3], 1; fence.mbarrier_init.release.cluster;\n"
    "mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 %%d2, [%%r3], %u;\n%s\n"
    "WAIT: bar.sync 0;\n"
    "AGAIN: mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 %%p2, [%%r3], 0; @!%%p2 bra AGAIN;\n"
    "%s\nret; }\n";
/* clang-format on */

static int try_run(uint32_t *memory, unsigned bytes, const char *body, const char *after)
{
	static char text[8192];
	uint64_t params[] = {(uint64_t)memory};
	struct sg_fault fault;

	snprintf(text, sizeof(text), frame, bytes, body, after);
	return launch(kernel_get(module_load(text), "k"), 1, 32, params, 1, &fault);
}

static void run(uint32_t *memory, unsigned bytes, const char *body, const char *after)
{
	CHECK_EQ(try_run(memory, bytes, body, after), 0);
}

static const char *const to_shared =
    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d1], 128, [%r3];\n";

TEST(bulk_copies_complete_their_mbarrier)
{
	uint32_t *memory = device_alloc(4096);

	for (uint32_t i = 0; i < 32; i++)
		memory[i] = i * i;
	run(memory, 128, to_shared,
	    "mul.lo.u32 %r4, %r1, 4; add.u32 %r5, %r2, %r4; ld.shared.u32 %r6, [%r5];\n"
	    "cvt.u64.u32 %d3, %r4; add.u64 %d3, %d1, %d3; add.u32 %r6, %r6, 1;\n"
	    "st.global.u32 [%d3+128], %r6;");
	for (uint32_t i = 0; i < 32; i++)
		CHECK_EQ(memory[32 + i], i * i + 1);
}

TEST(bulk_copies_inside_shared_memory_and_back)
{
	uint32_t *memory = device_alloc(4096);

	for (uint32_t i = 0; i < 32; i++)
		memory[i] = 1000 + i;
	run(memory, 128 + 64,
	    "cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes [%r2], [%d1], 128, "
	    "[%r3];\n"
	    "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%r2+512], "
	    "[%r2+64], 64, [%r3];\n",
	    "@%p1 ret; fence.proxy.async.shared::cta;\n"
	    "cp.async.bulk.global.shared::cta.bulk_group [%d1+256], [%r2+512], 64;\n"
	    "cp.async.bulk.commit_group; cp.async.bulk.wait_group.read 0; cp.async.bulk.wait_group "
	    "0;");
	for (uint32_t i = 0; i < 16; i++)
		CHECK_EQ(memory[64 + i], 1016 + i);
}

TEST(bulk_reductions)
{
	uint32_t *memory = device_alloc(4096);
	float *floats = (float *)(memory + 64);
	uint64_t *wide = (uint64_t *)(memory + 96);

	for (uint32_t i = 0; i < 32; i++) {
		float x = (float)i;

		memcpy(&memory[i], &x, 4);
		floats[i] = 0.5f;
		memory[128 + i] = 5;
	}
	for (uint32_t i = 0; i < 16; i++)
		wide[i] = UINT64_MAX;
	run(memory, 128, to_shared,
	    "@%p1 ret;\n"
	    "cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%d1+256], [%r2], 128;\n"
	    "cp.reduce.async.bulk.global.shared::cta.bulk_group.min.u64 [%d1+384], [%r2], 128;\n"
	    "cp.reduce.async.bulk.global.shared::cta.bulk_group.inc.u32 [%d1+512], [%r2], 128;\n"
	    "cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;");
	for (uint32_t i = 0; i < 32; i++) {
		CHECK(floats[i] == 0.5f + (float)i);
		CHECK_EQ(memory[128 + i], 5 >= memory[i] ? 0 : 6);
	}
	CHECK_BYTES(wide, memory, 128);
}

TEST(remote_stores_and_reductions)
{
	uint32_t *memory = device_alloc(4096);

	run(memory, 8 + 4 + 4,
	    "st.shared.u32 [%r2+16], 40; mapa.shared::cluster.u32 %r4, %r2, 0; mov.u32 %r5, 7; "
	    "mov.u32 "
	    "%r6, 9;\n"
	    "st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%r4], {%r5, %r6}, "
	    "[%r3];\n"
	    "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.u32 [%r4+8], %r6, [%r3];\n"
	    "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 "
	    "[%r4+16], "
	    "%r5, [%r3];\n",
	    "@%p1 ret; ld.shared.v4.u32 {%r4, %r5, %r6, %r7}, [%r2]; st.global.v2.u32 [%d1], {%r4, "
	    "%r5};\nst.global.u32 [%d1+8], %r6; ld.shared.u32 %r4, [%r2+16]; st.global.u32 "
	    "[%d1+12], "
	    "%r4;\ngetctarank.shared::cluster.u32 %r5, %r2; st.global.u32 [%d1+16], %r5;\n"
	    "st.bulk.weak.shared::cta [%r2], 16, 0; ld.shared.u32 %r6, [%r2+4]; st.global.u32 "
	    "[%d1+20], "
	    "%r6;");
	CHECK_BYTES(memory, ((uint32_t[]){7, 9, 9, 47, 0, 0}), 24);
}

TEST(bulk_copies_outside_memory_end_the_grid)
{
	uint32_t *memory = device_alloc(4096);

	CHECK_EQ(try_run(memory, 128,
		     "cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes [%r2+1088], "
		     "[%d1], 128, "
		     "[%r3];",
		     ""),
	    SG_FAULT_ILLEGAL_ADDRESS);
	CHECK_EQ(try_run(memory, 128,
		     "cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes [%r2], "
		     "[%d1+4], 128, "
		     "[%r3];",
		     ""),
	    SG_FAULT_MISALIGNED);
	CHECK_EQ(try_run(memory, 128,
		     "mov.u64 %d1, 64; "
		     "cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes [%r2], "
		     "[%d1], 128, [%r3];",
		     ""),
	    SG_FAULT_ILLEGAL_ADDRESS);
}

/* clang-format off */
/* Each block counts itself and then every one it may take from those that have not begun. */
static const char stealing[] = ".version 8.6\n.target sm_100a\n.address_size 64\n"
    ".visible .entry k(.param .u64 counts) .reqnctapercluster 2, 1, 1 {\n"
    ".reg .b64 %d<9>; .reg .b32 %r<9>; .reg .pred %p<3>; .reg .b128 %q;\n"
    ".shared .align 16 .b8 answer[16]; .shared .align 8 .b64 bar;\n"
    "ld.param.u64 %d1, [counts]; mov.u32 %r1, %ctaid.x; mov.u32 %r2, answer; mov.u32 %r3, bar; mov.u32 %r4, 0;\n"
    "mov.u32 %r7, %cluster_ctarank;\n"
    "mbarrier.init.shared::cta.b64 [%r3], 1; fence.mbarrier_init.release.cluster;\n"
    "barrier.cluster.arrive; barrier.cluster.wait;\n"
    "AGAIN: mul.wide.u32 %d2, %r1, 4; add.u64 %d2, %d1, %d2; red.global.add.u32 [%d2], 1;\n"
    "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3], 16;\n"
    "barrier.cluster.arrive; barrier.cluster.wait; setp.ne.u32 %p2, %r7, 0;\n"
    "@!%p2 clusterlaunchcontrol.try_cancel.async.shared::cta.mbarrier::complete_tx::bytes.multicast::cluster::all.b128 [%r2], [%r3];\n"
    "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r3], %r4; @!%p1 bra WAIT; xor.b32 %r4, %r4, 1;\n"
    "ld.shared.b128 %q, [%r2]; clusterlaunchcontrol.query_cancel.is_canceled.pred.b128 %p1, %q;\n"
    "clusterlaunchcontrol.query_cancel.get_first_ctaid::x.b32.b128 %r1, %q; add.u32 %r1, %r1, %r7;\n"
    "@%p1 bra AGAIN; barrier.cluster.arrive; barrier.cluster.wait; ret; }\n";
/* clang-format on */

/* A multicast address of a team of one device is an ordinary one. */
TEST(teams_of_one_device)
{
	static const char text[] =
	    HEAD ".visible .entry k(.param .u64 memory) {\n.reg .b64 %d<9>; .reg .b32 %r<9>;\n"
		 "ld.param.u64 %d1, [memory]; mov.u32 %r1, %tid.x; mul.wide.u32 %d2, %r1, 16;\n"
		 "add.u64 %d2, %d2, %d1; mov.b32 %r2, 0x3f800000;\n"
		 "multimem.red.relaxed.sys.global.add.f32 [%d1], %r2;\n"
		 "multimem.red.max.u32 [%d1+4], %r1;\n"
		 "multimem.ld_reduce.add.v2.f16x2 {%r3, %r4}, [%d2+1024];\n"
		 "multimem.ld_reduce.acquire.sys.global.min.s32 %r5, [%d2+1032];\n"
		 "multimem.st.weak.global.v4.f32 [%d2+2048], {%r3, %r4, %r5, %r1};\nret; }\n";
	uint32_t *memory = device_alloc(4096);
	uint64_t params[] = {(uint64_t)memory};
	float sum;

	for (uint32_t i = 0; i < 1024; i++)
		memory[i] = i * 3;
	memory[0] = memory[1] = 0;
	launch_fine(kernel_get(module_load(text), "k"), 1, 64, params, 1);
	memcpy(&sum, memory, sizeof(sum));
	CHECK(sum == 64);
	CHECK_EQ(memory[1], 63);
	for (uint32_t i = 0; i < 64; i++) {
		const uint32_t *from = memory + 256 + 4 * i, *to = memory + 512 + 4 * i;

		CHECK(to[0] == from[0] && to[1] == from[1] && to[2] == from[2] && to[3] == i);
	}
}

TEST(blocks_take_over_others)
{
	uint32_t *counts = device_alloc(4096);
	uint64_t params[] = {(uint64_t)counts};

	ptxas_check(stealing, "sm_100a");
	launch_fine(kernel_get(module_load(stealing), "k"), 100, 1, params, 1);
	for (uint32_t i = 0; i < 100; i++)
		CHECK_EQ(counts[i], 1);
}

/* clang-format off */
static const char reductions[] = ".version 8.6\n.target sm_100a\n.address_size 64\n"
    ".visible .entry k(.param .u64 io) { .reg .b64 %d<9>; .reg .b32 %r<9>;\n"
    "ld.param.u64 %d1, [io]; mov.u32 %r1, %tid.x; mul.wide.u32 %d2, %r1, 4; add.u64 %d2, %d1, %d2;\n"
    "ld.global.u32 %r2, [%d2];\n"
    "redux.sync.min.f32 %r3, %r2, -1; redux.sync.max.abs.f32 %r4, %r2, -1; redux.sync.max.NaN.f32 %r5, %r2, -1;\n"
    "redux.sync.max.f32 %r6, %r2, -1; st.global.v4.u32 [%d1+128], {%r3, %r4, %r5, %r6}; ret; }\n";
/* clang-format on */

TEST(reductions_of_floats)
{
	float *io = device_alloc(4096);
	uint64_t params[] = {(uint64_t)io};
	uint32_t nan;

	ptxas_check(reductions, "sm_100a");
	for (int i = 0; i < 32; i++)
		io[i] = (float)(i * 7 % 32 - 20);
	io[1] = NAN;
	launch_fine(kernel_get(module_load(reductions), "k"), 1, 32, params, 1);
	CHECK(io[32] == -20 && io[33] == 20 && io[35] == 11);
	memcpy(&nan, &io[34], sizeof(nan));
	CHECK_EQ(nan, 0x7fffffff);
}

/* Any bytes may stand where a tensor map should: none, one of another rank, one that leads
 * nowhere. */
TEST(tensor_maps_that_are_none_end_the_grid)
{
	static const char load[] = "cp.async.bulk.tensor.2d.shared::cta.global.tile.mbarrier::"
				   "complete_tx::bytes [%r2], [%d1, {0, 0}], [%r3];\n";
	uint32_t *memory = device_alloc(4096);
	struct sg_tensor_map map = {.magic = SG_TENSOR_MAGIC,
	    .rank = 2,
	    .address = 64,
	    .last = {31, 1},
	    .box = {31, 1},
	    .steps = {1, 1}};

	CHECK_EQ(try_run(memory, 64, load, ""), SG_FAULT_ILLEGAL_ADDRESS);
	memcpy(memory, &map, sizeof(map));
	CHECK_EQ(try_run(memory, 64, load, ""), SG_FAULT_ILLEGAL_ADDRESS);
	map.address = (uint64_t)memory;
	map.rank = 3;
	memcpy(memory, &map, sizeof(map));
	CHECK_EQ(try_run(memory, 64, load, ""), SG_FAULT_ILLEGAL_ADDRESS);
	map.rank = 2;
	map.box[1] = 255; /* more than there is shared memory */
	memcpy(memory, &map, sizeof(map));
	CHECK_EQ(try_run(memory, 64, load, ""), SG_FAULT_ILLEGAL_ADDRESS);
	map.box[1] = 1;
	memcpy(memory, &map, sizeof(map));
	CHECK_EQ(try_run(memory, 64, load, ""), 0);
}

/* Known, and refused by name: line and opcode are in the message. */
TEST(what_needs_other_hardware_is_refused)
{
	static const char *const all[] = {
	    "tcgen05.mma.cta_group::1.kind::f16.block_scale [%r2], %d1, %d1, %r4, %p1;",
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		static char text[8192];
		struct sg_log log = {.text = machine_log, .capacity = sizeof(machine_log)};

		snprintf(text, sizeof(text), frame, 0, all[i], "");
		CHECK_EQ(sg_kernel_prepare(sg_module_kernel(module_load(text), "k"), &log),
		    SG_MODULE_UNSUPPORTED);
		CHECK(strstr(machine_log, "ptx:11: "));
		CHECK(strstr(machine_log, "is not supported"));
	}
}

TEST(unknown_opcodes_are_no_ptx)
{
	static char text[8192];
	struct sg_module *module = NULL;

	snprintf(text, sizeof(text), frame, 0, "frobnicate.u32 %r1, %r2;", "");
	CHECK_EQ(module_try(text, &module), SG_MODULE_INVALID);
	CHECK_STR(machine_log, "ptx:11: unknown opcode \"frobnicate\"\n");
}

/* Each round all arrive and wait with the state they got, then a fourth of them for all, who wait
 * for the parity. */
static const char rounds_of_arrivals[] = PTX_HEAD
    ".visible .entry k(.param .u64 out) {\n"
    ".reg .b32 %r<20>; .reg .b64 %d<9>; .reg .pred %p<9>;\n"
    ".shared .align 8 .b64 bars[2]; .shared .align 4 .b32 data[256];\n"
    "mov.u32 %r1, %tid.x; mov.u32 %r2, bars; mov.u32 %r3, data;\n"
    "setp.ne.u32 %p1, %r1, 0; @%p1 bra READY;\n"
    "mbarrier.init.shared.b64 [%r2], 256; mbarrier.init.shared.b64 [%r2+8], 256;\n"
    "READY: bar.sync 0;\n"
    "and.b32 %r4, %r1, 3; setp.eq.u32 %p2, %r4, 0;\n"
    "shl.b32 %r5, %r1, 2; add.u32 %r6, %r3, %r5;\n"
    "add.u32 %r7, %r1, 37; and.b32 %r7, %r7, 255; shl.b32 %r7, %r7, 2; add.u32 %r7, %r3, %r7;\n"
    "mov.u32 %r8, 0; mov.u32 %r9, %r1;\n"
    "ROUND: st.shared.u32 [%r6], %r9;\n"
    "mbarrier.arrive.shared.b64 %d1, [%r2];\n"
    "FIRST: mbarrier.try_wait.shared.b64 %p3, [%r2], %d1; @!%p3 bra FIRST;\n"
    "ld.shared.u32 %r10, [%r7]; mad.lo.u32 %r9, %r9, 3, %r10;\n"
    "@%p2 mbarrier.arrive.shared.b64 _, [%r2+8], 4;\n"
    "and.b32 %r11, %r8, 1;\n"
    "SECOND: mbarrier.test_wait.parity.shared.b64 %p4, [%r2+8], %r11; @!%p4 bra SECOND;\n"
    "add.u32 %r8, %r8, 1; setp.lt.u32 %p5, %r8, 10; @%p5 bra ROUND;\n"
    "ld.param.u64 %d2, [out]; mul.wide.u32 %d3, %r1, 4; add.u64 %d2, %d2, %d3;\n"
    "st.global.u32 [%d2], %r9; ret; }\n";

TEST(warps_arrive_and_wait_at_mbarriers)
{
	struct sg_kernel *kernel = kernel_get(module_load(rounds_of_arrivals), "k");
	static const uint32_t lanes[] = {1, 8, 32};
	uint32_t *out = device_alloc(1024), values[256], before[256];
	uint64_t params[] = {(uint64_t)out};
	struct sg_launch launch = {.grid = {2, 1, 1},
	    .block = {256, 1, 1},
	    .params = params,
	    .params_size = sizeof(params)};
	struct sg_fault fault;

	for (uint32_t i = 0; i < 256; i++)
		values[i] = i;
	for (unsigned round = 0; round < 10; round++) {
		memcpy(before, values, sizeof(values));
		for (uint32_t i = 0; i < 256; i++)
			values[i] = before[i] * 3 + before[(i + 37) % 256];
	}
	for (size_t i = 0; i < ARRAY_SIZE(lanes); i++) {
		memset(out, 0, sizeof(values));
		launch.lanes = lanes[i];
		CHECK_EQ(sg_launch(kernel, &launch, &fault), 0);
		CHECK(!memcmp(out, values, sizeof(values)));
	}
}

/* Zeros become a map as its fields are written, as Triton makes them. */
TEST(tensor_maps_made_of_zeros)
{
	struct sg_module *module =
	    module_load(".version 8.5\n.target sm_90a\n.address_size 64\n"
			".visible .entry k(.param .u64 map) { .reg .b64 %d1;\n"
			"ld.param.u64 %d1, [map];\n"
			"tensormap.replace.tile.rank.global.b1024.b32 [%d1], 1;\n"
			"tensormap.replace.tile.box_dim.global.b1024.b32 [%d1], 1, 32; ret; }\n");
	struct sg_tensor_map *map = device_alloc(sizeof(*map));
	uint64_t params[] = {(uint64_t)map};
	struct sg_fault fault;

	launch_fine(kernel_get(module, "k"), 1, 1, params, 1);
	CHECK_EQ(map->magic, SG_TENSOR_MAGIC);
	CHECK_EQ(map->rank, 2);
	CHECK_EQ(map->box[1], 31);
	map->magic = 7;
	CHECK_EQ(
	    launch(kernel_get(module, "k"), 1, 1, params, 1, &fault), SG_FAULT_ILLEGAL_ADDRESS);
}
