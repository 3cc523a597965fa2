/* Whether memory can be read, for tests: reads it and takes the signal. */
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

static sigjmp_buf fault;

static void on_fault(int signal)
{
	siglongjmp(fault, signal);
}

static bool is_readable(uint64_t address)
{
	bool readable = false;

	signal(SIGSEGV, on_fault);
	if (!sigsetjmp(fault, 1)) {
		(void)*(volatile char *)address;
		readable = true;
	}
	signal(SIGSEGV, SIG_DFL);
	return readable;
}
