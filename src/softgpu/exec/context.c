/*
 * The callee-saved registers are pushed in one order and popped in the other. The signal handler
 * of fault.c leaves a kernel by pointing the interrupted flow at sg_context_jump, so that one must
 * work with nothing but its argument. Rounding modes are restored by whoever changes them.
 */
#include "softgpu/exec/context.h"

#include <stdint.h>

#define SAVED_REGISTERS 6

__asm__(".text\n"
	".globl sg_context_switch\n"
	".hidden sg_context_switch\n"
	".type sg_context_switch, @function\n"
	"sg_context_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rdi\n"
	".globl sg_context_jump\n"
	".hidden sg_context_jump\n"
	".type sg_context_jump, @function\n"
	"sg_context_jump:\n"
	"	movq %rdi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size sg_context_jump, . - sg_context_jump\n"
	".size sg_context_switch, . - sg_context_switch\n"
	/* First entry of a new context: r12 is the function, r13 its argument. */
	".type context_start, @function\n"
	"context_start:\n"
	"	movq %r13, %rdi\n"
	"	xorl %ebp, %ebp\n"
	"	call *%r12\n"
	"	ud2\n"
	".size context_start, . - context_start\n");

extern const char context_start[];

void *sg_context_new(void *top, void (*function)(void *), void *argument)
{
	uintptr_t *stack = (uintptr_t *)top - 2; /* so that context_start begins aligned */

	*--stack = (uintptr_t)context_start;
	stack -= SAVED_REGISTERS;
	stack[0] = 0;			/* r15 */
	stack[1] = 0;			/* r14 */
	stack[2] = (uintptr_t)argument; /* r13 */
	stack[3] = (uintptr_t)function; /* r12 */
	stack[4] = 0;			/* rbx */
	stack[5] = 0;			/* rbp */
	return stack;
}
