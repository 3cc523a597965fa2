/* Managed variables of modules: program and device use them by name and by address. */

#include "conform.h"

enum { MANY = 3000 };

/* What nvcc makes of `__managed__ int total = 5, beside = 7; __managed__ int many[MANY]; __device__
 * int plain;` and kernels that add to them. */
static const char text[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
			   ".visible .global .attribute(.managed) .align 4 .u32 total = 5;\n"
			   ".visible .global .attribute(.managed) .align 4 .u32 beside = 7;\n"
			   ".visible .global .attribute(.managed) .align 4 .b8 many[12000];\n"
			   ".visible .global .align 4 .u32 plain = 9;\n"
			   /* total += amount */
			   ".visible .entry add_total(.param .u32 amount)\n{\n"
			   ".reg .u32 %r<4>;\n"
			   "ld.param.u32 %r1, [amount];\n"
			   "ld.global.u32 %r2, [total];\n"
			   "add.u32 %r3, %r1, %r2;\n"
			   "st.global.u32 [total], %r3;\n"
			   "ret;\n}\n"
			   /* *at += amount, through an address of the program's */
			   ".visible .entry add_at(.param .u64 at, .param .u32 amount)\n{\n"
			   ".reg .u32 %r<4>;\n.reg .u64 %d<3>;\n"
			   "ld.param.u64 %d1, [at];\n"
			   "cvta.to.global.u64 %d2, %d1;\n"
			   "ld.param.u32 %r1, [amount];\n"
			   "ld.global.u32 %r2, [%d2];\n"
			   "add.u32 %r3, %r1, %r2;\n"
			   "st.global.u32 [%d2], %r3;\n"
			   "ret;\n}\n"
			   /* many[2 * i] += many[2 * i + 1], i < MANY / 2 */
			   ".visible .entry fold()\n{\n"
			   ".reg .u32 %r<9>;\n.reg .u64 %d<4>;\n.reg .pred %p<2>;\n"
			   "mov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ntid.x;\nmov.u32 %r3, %tid.x;\n"
			   "mad.lo.u32 %r4, %r1, %r2, %r3;\n"
			   "setp.ge.u32 %p1, %r4, 1500;\n"
			   "@%p1 bra DONE;\n"
			   "mul.wide.u32 %d1, %r4, 8;\n"
			   "mov.u64 %d2, many;\n"
			   "add.u64 %d3, %d2, %d1;\n"
			   "ld.global.u32 %r5, [%d3];\n"
			   "ld.global.u32 %r6, [%d3+4];\n"
			   "add.u32 %r7, %r5, %r6;\n"
			   "st.global.u32 [%d3], %r7;\n"
			   "DONE:\nret;\n}\n"
			   /* while (*(volatile int *)&total == seen); beside = total + 1 */
			   ".visible .entry answer(.param .u32 seen)\n{\n"
			   ".reg .u32 %r<5>;\n.reg .pred %p<2>;\n"
			   "ld.param.u32 %r1, [seen];\n"
			   "AGAIN:\n"
			   "ld.volatile.global.u32 %r2, [total];\n"
			   "setp.eq.u32 %p1, %r1, %r2;\n"
			   "@%p1 bra AGAIN;\n"
			   "add.u32 %r3, %r2, 1;\n"
			   "st.volatile.global.u32 [beside], %r3;\n"
			   "ret;\n}\n";

static CUmodule module;

static CUfunction kernel(const char *name)
{
	CUfunction f;

	OK(cuModuleGetFunction(&f, module, name));
	return f;
}

/* Begins, loads the module, and finds a variable. */
static void *begin(const char *name, size_t wanted)
{
	CUdeviceptr address;
	size_t size;

	if (!module) {
		conform_begin();
		OK(cuModuleLoadData(&module, text));
	}
	OK(cuModuleGetGlobal(&address, &size, module, name));
	CHECK_EQ(size, wanted);
	return (void *)address;
}

static void add_total(int amount, CUstream stream)
{
	OK(conform_launch(kernel("add_total"), 1, 1, 0, stream, (void *[]){&amount}));
}

CONFORM(program_and_device_take_turns)
{
	volatile int *total = begin("total", 4);
	int expected = 5;

	CHECK_EQ(*total, 5);
	for (int i = 0; i < 50; i++) {
		*total += i;
		add_total(1000, NULL);
		OK(cuCtxSynchronize());
		expected += i + 1000;
		CHECK_EQ(*total, expected);
	}
	/* Launches one after the other without a look between them. */
	for (int i = 0; i < 50; i++)
		add_total(1, NULL);
	OK(cuStreamSynchronize(NULL));
	CHECK_EQ(*total, expected + 50);
	/* And looks one after the other without a launch. */
	*total = 1;
	OK(cuCtxSynchronize());
	CHECK_EQ(*total, 1);
}

CONFORM(its_address_is_the_devices_too)
{
	volatile int *total = begin("total", 4), *beside = begin("beside", 4);
	int amount = 100;

	*beside = 1;
	OK(conform_launch(kernel("add_at"), 1, 1, 0, NULL, (void *[]){&total, &amount}));
	OK(conform_launch(kernel("add_at"), 1, 1, 0, NULL, (void *[]){&beside, &amount}));
	add_total(1, NULL);
	OK(cuCtxSynchronize());
	CHECK_EQ(*total, 106);
	CHECK_EQ(*beside, 101);
}

CONFORM(neighbours_keep_what_the_other_side_wrote)
{
	volatile int *total = begin("total", 4), *beside = begin("beside", 4);

	for (int i = 0; i < 200; i++) {
		add_total(1, NULL);
		*beside = i; /* the device does not touch it */
		OK(cuCtxSynchronize());
		CHECK_EQ(*beside, i);
		CHECK_EQ(*total, 6 + i);
	}
}

/* Neither side calls CUDA meanwhile. */
CONFORM(a_kernel_that_runs_sees_a_flag_and_answers)
{
	volatile int *total = begin("total", 4), *beside = begin("beside", 4);
	int concurrent = 0, seen = 5;

	OK(cuDeviceGetAttribute(&concurrent, CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, 0));
	if (!concurrent)
		SKIP("program and device take turns here");
	OK(conform_launch(kernel("answer"), 1, 1, 0, NULL, (void *[]){&seen}));
	*total = 70;
	while (*beside != 71)
		;
	OK(cuCtxSynchronize());
	CHECK_EQ(*total, 70);
}

CONFORM(an_array_over_several_pages)
{
	volatile int *many = begin("many", MANY * 4);
	int expected[MANY] = {0};

	for (int i = 0; i < MANY; i++)
		CHECK_EQ(many[i], 0);
	for (int round = 0; round < 20; round++) {
		for (int i = 1; i < MANY; i += 2)
			expected[i] = many[i] = round * i;
		OK(conform_launch(kernel("fold"), 12, 128, 0, NULL, NULL));
		OK(cuCtxSynchronize());
		for (int i = 0; i < MANY; i += 2)
			expected[i] += expected[i + 1];
		for (int i = 0; i < MANY; i++)
			CHECK_EQ(many[i], expected[i]);
	}
}

CONFORM(copies_take_it_for_either_side)
{
	int *many = begin("many", MANY * 4), *here = malloc(MANY * 4);
	CUdeviceptr address = (CUdeviceptr)many, device;

	OK(cuMemAlloc(&device, MANY * 4));
	conform_fill(many, MANY * 4, 1);
	OK(cuMemcpyDtoH(here, address, MANY * 4));
	CHECK_BYTES(here, many, MANY * 4);
	conform_fill(many, MANY * 4, 2);
	OK(cuMemcpy(device, address, MANY * 4));
	OK(cuMemcpyDtoH(here, device, MANY * 4));
	CHECK_BYTES(here, many, MANY * 4);
	conform_fill(here, MANY * 4, 3);
	OK(cuMemcpyHtoD(address, here, MANY * 4));
	CHECK_BYTES(many, here, MANY * 4);
	OK(cuMemsetD32(address, 77, MANY));
	OK(cuCtxSynchronize());
	for (int i = 0; i < MANY; i++)
		CHECK_EQ(many[i], 77);
	/* As ordinary memory of the program. */
	OK(cuMemsetD32(device, 78, MANY));
	OK(cuMemcpyDtoH(many, device, MANY * 4));
	CHECK_EQ(many[MANY - 1], 78);
	many[0] = 5;
	OK(cuMemcpyHtoD(device, many, MANY * 4));
	OK(cuMemcpyDtoH(here, device, MANY * 4));
	CHECK_EQ(here[0], 5);
	CHECK_EQ(here[1], 78);
	OK(cuMemFree(device));
	free(here);
}

static void look_and_write(void *user)
{
	volatile int *total = user;

	total[0] *= 2;
}

CONFORM(host_functions_see_it)
{
	volatile int *total = begin("total", 4);
	CUstream stream;

	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < 10; i++) {
		*total = 1;
		add_total(4, stream);
		OK(cuLaunchHostFunc(stream, look_and_write, (void *)total));
		add_total(3, stream);
		OK(cuStreamSynchronize(stream));
		CHECK_EQ(*total, 13);
	}
}

CONFORM(events_make_it_visible)
{
	volatile int *total = begin("total", 4);
	CUevent event;

	OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	for (int i = 0; i < 20; i++) {
		CUresult r;
		add_total(1, NULL);
		OK(cuEventRecord(event, NULL));
		while ((r = cuEventQuery(event)) == CUDA_ERROR_NOT_READY)
			;
		OK(r);
		CHECK_EQ(*total, 6 + i);
	}
}

CONFORM(queries_say_what_it_is)
{
	CUdeviceptr total = (CUdeviceptr)begin("total", 4), plain = (CUdeviceptr)begin("plain", 4);
	void *host = NULL;
	unsigned managed = 9;
	CUmemorytype type = 0;

	OK(cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, total));
	CHECK_EQ(managed, 1);
	OK(cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, plain));
	CHECK_EQ(managed, 0);
	OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, total));
	CHECK_EQ(type, CU_MEMORYTYPE_DEVICE);
	OK(cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_HOST_POINTER, total));
	CHECK_EQ((CUdeviceptr)host, total);
	CHECK(cuMemFree(total) != CUDA_SUCCESS);
	OK(cuModuleUnload(module));
}

CONFORM(libraries_have_them)
{
	CUlibrary library;
	CUdeviceptr address;
	CUkernel add;
	size_t size;
	int amount = 10;

	conform_begin();
	for (int round = 0; round < 5; round++) {
		OK(cuLibraryLoadData(&library, text, NULL, NULL, 0, NULL, NULL, 0));
		OK(cuLibraryGetManaged(&address, &size, library, "total"));
		CHECK_EQ(size, 4);
		GIVES(
		    cuLibraryGetManaged(&address, &size, library, "nothing"), CUDA_ERROR_NOT_FOUND);
		volatile int *total = (void *)address;
		CHECK_EQ(*total, 5);
		OK(cuLibraryGetKernel(&add, library, "add_total"));
		OK(conform_launch((CUfunction)add, 1, 1, 0, NULL, (void *[]){&amount}));
		OK(cuCtxSynchronize());
		CHECK_EQ(*total, 15);
		OK(cuLibraryUnload(library));
	}
}
