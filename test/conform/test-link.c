/* The linker, what the compiler says of a program, and module loading with options. */
#include "conform.h"

#define HEADER ".version 7.0\n.target sm_70\n.address_size 64\n"

/* One file uses a function that another one has. */
static const char user[] = HEADER ".extern .func (.param .b32 out) twice (.param .b32 in);\n"
				  ".visible .entry double_all(.param .u64 words)\n"
				  "{\n"
				  "	.reg .u64 %a<4>;\n"
				  "	.reg .u32 %r<4>;\n"
				  "	ld.param.u64 %a1, [words];\n"
				  "	cvta.to.global.u64 %a1, %a1;\n"
				  "	mov.u32 %r1, %tid.x;\n"
				  "	mul.wide.u32 %a2, %r1, 4;\n"
				  "	add.u64 %a2, %a1, %a2;\n"
				  "	ld.global.u32 %r2, [%a2];\n"
				  "	{\n"
				  "	.param .b32 x;\n"
				  "	.param .b32 y;\n"
				  "	st.param.b32 [x], %r2;\n"
				  "	call (y), twice, (x);\n"
				  "	ld.param.b32 %r3, [y];\n"
				  "	}\n"
				  "	st.global.u32 [%a2], %r3;\n"
				  "	ret;\n"
				  "}\n";
static const char used[] = HEADER ".visible .func (.param .b32 out) twice (.param .b32 in)\n"
				  "{\n"
				  "	.reg .u32 %r<3>;\n"
				  "	ld.param.b32 %r1, [in];\n"
				  "	shl.b32 %r2, %r1, 1;\n"
				  "	st.param.b32 [out], %r2;\n"
				  "	ret;\n"
				  "}\n";
static const char broken[] = HEADER ".visible .entry k()\n{\n	no_such_opcode.u32 %r1;\n}\n";

enum { N = 64, LOG = 4096 };

/* Options with which errors and remarks are written to two buffers. */
struct logs {
	char errors[LOG], remarks[LOG];
	CUjit_option options[4];
	void *values[4];
};

static void logs_init(struct logs *logs)
{
	*logs = (struct logs){
	    .options = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
		CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES},
	    .values = {logs->errors, (void *)(uintptr_t)LOG, logs->remarks, (void *)(uintptr_t)LOG},
	};
}

static void add(CUlinkState link, const char *text, size_t size, const char *name)
{
	OK(cuLinkAddData(link, CU_JIT_INPUT_PTX, (void *)text, size, name, 0, NULL, NULL));
}

static void check_doubles(CUmodule module)
{
	unsigned words[N];
	CUfunction f;
	CUdeviceptr data;

	OK(cuModuleGetFunction(&f, module, "double_all"));
	for (unsigned i = 0; i < N; i++)
		words[i] = i + 1;
	OK(cuMemAlloc(&data, sizeof(words)));
	OK(cuMemcpyHtoD(data, words, sizeof(words)));
	OK(conform_launch(f, 1, N, 0, NULL, (void *[]){&data}));
	OK(cuMemcpyDtoH(words, data, sizeof(words)));
	for (unsigned i = 0; i < N; i++)
		CHECK_EQ(words[i], 2 * i + 2);
	OK(cuMemFree(data));
}

CONFORM(two_files_become_one_program)
{
	CUlinkState link;
	CUmodule module;
	struct logs logs;
	void *image = NULL;
	size_t size = 0;

	conform_begin();
	logs_init(&logs);
	OK(cuLinkCreate(4, logs.options, logs.values, &link));
	add(link, user, sizeof(user), "user.ptx");
	add(link, used, sizeof(used), "used.ptx");
	OK(cuLinkComplete(link, &image, &size));
	CHECK(image && size > 0);
	OK(cuModuleLoadData(&module, image));
	OK(cuLinkDestroy(link)); /* the image was the linker's, the module has its own */
	check_doubles(module);
	OK(cuModuleUnload(module));
}

CONFORM(an_undefined_function_is_named)
{
	CUlinkState link;
	struct logs logs;
	void *image;
	size_t size;

	conform_begin();
	logs_init(&logs);
	OK(cuLinkCreate(4, logs.options, logs.values, &link));
	CUresult r = cuLinkAddData(
	    link, CU_JIT_INPUT_PTX, (void *)user, sizeof(user), "user.ptx", 0, NULL, NULL);
	if (r == CUDA_SUCCESS)
		r = cuLinkComplete(link, &image, &size);
	CHECK(r != CUDA_SUCCESS);
	CHECK(strstr(logs.errors, "twice"));
	OK(cuLinkDestroy(link));
}

CONFORM(what_does_not_compile_is_explained)
{
	CUlinkState link;
	CUmodule module;
	struct logs logs;
	void *image;
	size_t size;

	conform_begin();
	logs_init(&logs);
	GIVES(cuModuleLoadDataEx(&module, broken, 4, logs.options, logs.values),
	    CUDA_ERROR_INVALID_PTX);
	CHECK(strlen(logs.errors) > 0);
	CHECK((uintptr_t)logs.values[1] > 0 && (uintptr_t)logs.values[1] <= LOG);
	logs_init(&logs);
	OK(cuLinkCreate(4, logs.options, logs.values, &link));
	/* At once or at the end, as the linker likes. */
	CUresult r = cuLinkAddData(
	    link, CU_JIT_INPUT_PTX, (void *)broken, sizeof(broken), "broken.ptx", 0, NULL, NULL);
	CHECK((r ?: cuLinkComplete(link, &image, &size)) == CUDA_ERROR_INVALID_PTX);
	CHECK(strlen(logs.errors) > 0);
	OK(cuLinkDestroy(link));
}

/* What does not fit is cut, not written beyond the buffer. */
CONFORM(small_logs_are_not_overrun)
{
	char small[24];
	CUmodule module;
	CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};

	conform_begin();
	memset(small, '#', sizeof(small));
	void *values[] = {small, (void *)(uintptr_t)16};
	GIVES(cuModuleLoadDataEx(&module, broken, 2, options, values), CUDA_ERROR_INVALID_PTX);
	for (size_t i = 16; i < sizeof(small); i++)
		CHECK_EQ(small[i], '#');
}

CONFORM(the_linker_knows_its_inputs)
{
	CUlinkState link;

	conform_begin();
	OK(cuLinkCreate(0, NULL, NULL, &link));
	CHECK(cuLinkAddFile(link, CU_JIT_INPUT_PTX, "/no/such/file.ptx", 0, NULL, NULL) !=
	      CUDA_SUCCESS);
	CHECK(cuLinkAddData(link, (CUjitInputType)99, (void *)used, sizeof(used), "used", 0, NULL,
		  NULL) != CUDA_SUCCESS);
	OK(cuLinkDestroy(link));
}
