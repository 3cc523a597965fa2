/* The checked-in PTX of kernels.cu, as text in the program. CONFORM_PTX is its path (meson.build).
 */
#include "conform.h"

__asm__(".section .rodata\n"
	".global conform_ptx\n"
	"conform_ptx:\n"
	".incbin \"" CONFORM_PTX "\"\n"
	".byte 0\n"
	".previous\n");
