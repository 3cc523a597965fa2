/*
 * Switching stacks. A context is the stack pointer of a suspended flow of control, its callee-saved
 * registers on the stack. x86-64 System V; about 5 ns, no system call, no signal mask.
 */
#pragma once

/* Saves the current flow in *from and goes on with to. Returns when somebody switches back. */
void sg_context_switch(void **from, void *to);

/* Goes on with to; the current flow is forgotten. */
_Noreturn void sg_context_jump(void *to);

/* A context that will call function(argument) on the stack that ends at top (a multiple of 16). The
 * function must not return. */
void *sg_context_new(void *top, void (*function)(void *), void *argument);
