/*
 * A CUDA program whose kernel fails: fault KIND [apart]. It says what the wait for the kernel gave,
 * and what an allocation afterwards gave: the error stays. With `apart` it says first what the
 * launch itself gave. Exit status 0 when it could ask at all. freed is the kernel that does nothing
 * wrong, on memory that is gone; for reused there is other memory by then.
 */
#include <string.h>

#include "../conform/conform.h"

#define HEAD ".version 7.0\n.target sm_70\n.address_size 64\n"

/* clang-format off */
static const char ptx[] = HEAD
    ".extern .func __assertfail(.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 d, .param .b64 e);\n"
    ".global .align 1 .b8 text[6] = {119, 114, 111, 110, 103, 0};\n"
    ".func deep(.param .b64 a) { .reg .b64 %d; .param .b64 x; .local .align 8 .b8 l[64];\n"
    " ld.param.u64 %d, [a]; st.local.u64 [l], %d; add.u64 %d, %d, 1; st.param.b64 [x], %d;\n"
    " call deep, (x); ld.volatile.local.u64 %d, [l]; ret; }\n"
    ".visible .entry none(.param .u64 p) { .reg .b64 %p; ld.param.u64 %p, [p]; st.global.u32 [%p], 1; ret; }\n"
    ".visible .entry bounds(.param .u64 p) { .reg .b64 %p; ld.param.u64 %p, [p]; add.u64 %p, %p, 0x100000000;\n"
    " st.global.u32 [%p], 1; ret; }\n"
    ".visible .entry null(.param .u64 p) { .reg .b64 %p; .reg .b32 %r; mov.u64 %p, 0; ld.u32 %r, [%p];\n"
    " ld.param.u64 %p, [p]; st.global.u32 [%p], %r; ret; }\n"
    ".visible .entry freed(.param .u64 p) { .reg .b64 %p; ld.param.u64 %p, [p]; st.global.u32 [%p], 1; ret; }\n"
    ".visible .entry reused(.param .u64 p) { .reg .b64 %p; ld.param.u64 %p, [p]; st.global.u32 [%p], 1; ret; }\n"
    ".visible .entry shared(.param .u64 p) { .reg .b32 %r; .shared .align 4 .b8 s[16]; mov.u32 %r, %tid.x;\n"
    " shl.b32 %r, %r, 2; st.volatile.shared.u32 [%r], %r; st.volatile.shared.u32 [s], %r; ret; }\n"
    ".visible .entry call(.param .u64 p) { .reg .b64 %p; ld.param.u64 %p, [p]; f: .callprototype _ ();\n"
    " call %p, (), f; ret; }\n"
    ".visible .entry meeting(.param .u64 p) { .param .b64 x; .reg .b64 %d; ld.param.u64 %d, [p];\n"
    " bar.sync 0; st.param.b64 [x], %d; call deep, (x); ret; }\n"
    ".visible .entry misaligned(.param .u64 p) { .reg .b64 %p; ld.param.u64 %p, [p]; st.global.u32 [%p+2], 1; ret; }\n"
    ".visible .entry assertion(.param .u64 p) { .reg .b64 %d; .param .b64 t; .param .b32 l;\n"
    " mov.u64 %d, text; cvta.global.u64 %d, %d; st.param.b64 [t], %d; st.param.b32 [l], 12;\n"
    " call __assertfail, (t, t, l, t, t); ret; }\n"
    ".visible .entry trap(.param .u64 p) { trap; ret; }\n"
    ".visible .entry recursion(.param .u64 p) { .param .b64 x; .reg .b64 %d; ld.param.u64 %d, [p];\n"
    " st.param.b64 [x], %d; call deep, (x); ret; }\n"
    ".visible .entry race(.param .u64 p) { .reg .b32 %r; .shared .align 4 .b8 s[256]; mov.u32 %r, %tid.x;\n"
    " shl.b32 %r, %r, 2; st.shared.u32 [%r], %r; xor.b32 %r, %r, 4; ld.shared.u32 %r, [%r];\n"
    " st.volatile.shared.u32 [s], %r; ret; }\n"
    ".visible .entry forever(.param .u64 p) { L: bra L; }\n"
    ".visible .entry barrier(.param .u64 p) { .reg .b32 %r; .reg .pred %q; mov.u32 %r, %tid.x;\n"
    " setp.lt.u32 %q, %r, 32; @%q bar.sync 1, 64; @!%q bar.sync 2, 64; ret; }\n"
    ".visible .entry divide(.param .u64 p) { .reg .b32 %r<9>; .reg .b64 %p; ld.param.u64 %p, [p];\n"
    " ld.global.u32 %r1, [%p]; ld.global.u32 %r2, [%p+4]; div.s32 %r3, %r1, %r2; rem.u32 %r4, %r1, %r2;\n"
    " mov.u32 %r5, 0x80000000; mov.u32 %r6, %ntid.y; neg.s32 %r6, %r6; div.s32 %r7, %r5, %r6;\n"
    " add.u32 %r3, %r3, %r4; add.u32 %r3, %r3, %r7; st.global.u32 [%p+8], %r3; ret; }\n";
/* clang-format on */

int main(int argc, char **argv)
{
	CUdevice device;
	CUcontext context;
	CUmodule module;
	CUfunction kernel;
	CUdeviceptr memory, more;
	CUresult first, again;

	if (argc < 2 || cuInit(0) || cuDeviceGet(&device, 0) ||
	    cuDevicePrimaryCtxRetain(&context, device) || cuCtxSetCurrent(context) ||
	    cuModuleLoadData(&module, ptx) || cuModuleGetFunction(&kernel, module, argv[1]) ||
	    cuMemAlloc(&memory, 4096) || cuMemsetD8(memory, 0, 4096))
		return 2;
	if (!strcmp(argv[1], "freed") && cuMemFree(memory))
		return 2;
	if (!strcmp(argv[1], "reused") && (cuMemFree(memory) || cuMemAlloc(&more, 4096)))
		return 2;
	first = cuLaunchKernel(kernel, 1, 1, 1, 64, 1, 1, 0, NULL, (void *[]){&memory}, NULL);
	if (argc > 2)
		printf("%s ", conform_name(first));
	first = first ?: cuCtxSynchronize();
	again = cuMemAlloc(&more, 4096);
	printf("%s %s\n", conform_name(first), conform_name(again));
	return 0;
}
