/*
 * The unit-test runner. TEST(name) { ... } registers a test; the runner forks each one, gives it a
 * time limit, fails it when it leaks a descriptor, and prints TAP. `program NAME...` runs only
 * those.
 *
 * A failed CHECK() ends the test at once with file and line. SKIP() ends it as skipped, with a
 * reason.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

struct test {
	const char *name;
	void (*run)(void);
	unsigned timeout_s;
	bool keeps_fds; /* its libraries keep descriptors until exit: no leak check */
} __attribute__((aligned(32)));

#define TEST_TIMEOUT_S 30

/* Whether this build is the thread sanitizer's: it knows no memory below its own, and sees no order
 * that goes through two mappings of the same memory. */
#ifdef ROSEN_SANITIZE_THREAD
#define TEST_THREAD_SANITIZER true
#else
#define TEST_THREAD_SANITIZER false
#endif

#define TEST_WITH(test_name, ...)                                                                  \
	static void test_name(void);                                                               \
	static const struct test test_entry_##test_name                                            \
	    __attribute__((used, section("rosen_tests"))) = {#test_name, test_name, __VA_ARGS__};  \
	static void test_name(void)
#define TEST_LIMIT(test_name, seconds) TEST_WITH(test_name, seconds, false)
#define TEST(test_name)		       TEST_LIMIT(test_name, TEST_TIMEOUT_S)

_Noreturn void test_fail(const char *file, int line, const char *format, ...) _printf_(3, 4);
_Noreturn void test_skip(const char *reason);
void test_check_bytes(const char *file, int line, const void *got, const void *wanted, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			test_fail(__FILE__, __LINE__, "%s", #condition);                           \
	} while (0)
#define CHECK_EQ(got, wanted)                                                                      \
	do {                                                                                       \
		long long test_got = (long long)(got), test_wanted = (long long)(wanted);          \
		if (test_got != test_wanted)                                                       \
			test_fail(__FILE__, __LINE__, "%s is %lld (0x%llx), wanted %lld (0x%llx)", \
			    #got, test_got, test_got, test_wanted, test_wanted);                   \
	} while (0)
#define CHECK_STR(got, wanted)                                                                     \
	do {                                                                                       \
		const char *test_got = (got), *test_wanted = (wanted);                             \
		if (!test_got || strcmp(test_got, test_wanted))                                    \
			test_fail(__FILE__, __LINE__, "%s is \"%s\", wanted \"%s\"", #got,         \
			    test_got ?: "(null)", test_wanted);                                    \
	} while (0)
#define CHECK_BYTES(got, wanted, size) test_check_bytes(__FILE__, __LINE__, (got), (wanted), (size))
#define SKIP(reason)		       test_skip(reason)
