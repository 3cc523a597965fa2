/*
 * Part of softgpu-llvm.so: masks as LLVM's code generator can take them. For AVX-512 it moves and,
 * or and xor of them between the bits of an integer and the lanes of a vector of i1, and up to LLVM
 * 19 two of its rules can undo each other for ever.
 */
#pragma once

#include <llvm-c/Types.h>

/* Before code is made of module. */
void masks_settle(LLVMModuleRef module);
