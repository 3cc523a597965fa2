/*
 * The futex calls of the providers that live under one kernel. private: the word is used by one
 * process only. Both keep errno, since wake runs in other people's threads and signal handlers.
 */
#pragma once

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* Sleeps while *word is value; timeout_ns UINT64_MAX: without end. */
static inline void futex_wait(
    _Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns, bool private)
{
	struct timespec timeout = {
	    (time_t)(timeout_ns / NSEC_PER_SEC), (long)(timeout_ns % NSEC_PER_SEC)};
	int saved_errno = errno;

	syscall(SYS_futex, word, FUTEX_WAIT | (private ? FUTEX_PRIVATE_FLAG : 0), value,
	    timeout_ns == UINT64_MAX ? NULL : &timeout, NULL, 0);
	errno = saved_errno;
}

static inline void futex_wake(_Atomic uint32_t *word, bool private)
{
	int saved_errno = errno;

	syscall(SYS_futex, word, FUTEX_WAKE | (private ? FUTEX_PRIVATE_FLAG : 0), 1, NULL, NULL, 0);
	errno = saved_errno;
}
