/*
 * What kernels print is on the program's own standard output, what they assert on its standard
 * error, by the time a call that waits for them returns.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conform.h"

/* A standard stream with a file in memory put under it. */
struct capture {
	FILE *stream;
	int file, before;
};

static struct capture capture(FILE *stream)
{
	struct capture capture = {stream, memfd_create("captured", 0), -1};

	fflush(stream);
	capture.before = dup(fileno(stream));
	CHECK(capture.file >= 0 && capture.before >= 0);
	CHECK(dup2(capture.file, fileno(stream)) >= 0);
	return capture;
}

/* All that was printed since, which must contain wanted or, if exact, be wanted. */
static void check_captured(const struct capture *capture, const char *wanted, bool exact)
{
	static char text[1 << 20];

	fflush(capture->stream);
	ssize_t size = pread(capture->file, text, sizeof(text) - 1, 0);
	CHECK(size >= 0);
	text[size] = 0;
	if (exact ? !strcmp(text, wanted) : strstr(text, wanted) != NULL)
		return;
	dup2(capture->before, fileno(capture->stream)); /* for what the test says now */
	CHECK_STR(text, wanted);
}

static CUresult print(int first, int n, CUstream stream)
{
	return conform_launch(
	    conform_kernel("print_lines"), 1, 32, 0, stream, (void *[]){&first, &n});
}

static void expect(char *text, size_t size, int first, int n)
{
	size_t used = strlen(text);

	for (int i = first; i < first + n; i++)
		used += (size_t)snprintf(text + used, size - used,
		    "line %d is %s, half of it %.1f\n", i, i % 2 ? "odd" : "even", i / 2.0);
}

CONFORM(printed_before_a_wait_returns)
{
	static char wanted[1 << 16];
	CUstream stream;
	CUevent event;
	CUdeviceptr data;
	unsigned word;

	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	OK(cuMemAlloc(&data, 4));
	struct capture out = capture(stdout);
	OK(print(0, 3, NULL));
	OK(cuCtxSynchronize());
	expect(wanted, sizeof(wanted), 0, 3);
	check_captured(&out, wanted, true);
	OK(print(10, 2, stream));
	OK(cuStreamSynchronize(stream));
	expect(wanted, sizeof(wanted), 10, 2);
	check_captured(&out, wanted, true);
	OK(print(20, 1, stream));
	OK(cuEventRecord(event, stream));
	OK(cuEventSynchronize(event));
	expect(wanted, sizeof(wanted), 20, 1);
	check_captured(&out, wanted, true);
	OK(print(30, 4, NULL));
	OK(cuMemcpyDtoH(&word, data, 4));
	expect(wanted, sizeof(wanted), 30, 4);
	check_captured(&out, wanted, true);
	printf("and the program's own line\n");
	OK(print(40, 1, NULL));
	OK(cuCtxSynchronize());
	strcat(wanted, "and the program's own line\n");
	expect(wanted, sizeof(wanted), 40, 1);
	check_captured(&out, wanted, true);
}

CONFORM(many_lines_are_all_there)
{
	static char wanted[1 << 18];

	conform_begin();
	struct capture out = capture(stdout);
	OK(print(0, 2000, NULL));
	OK(cuCtxSynchronize());
	expect(wanted, sizeof(wanted), 0, 2000);
	check_captured(&out, wanted, true);
}

CONFORM(a_failed_assertion_is_told)
{
	int a = 1, b = 2;

	conform_begin();
	CUfunction function = conform_kernel("assert_equal");
	OK(conform_launch(function, 1, 1, 0, NULL, (void *[]){&a, &a}));
	OK(cuCtxSynchronize());
	struct capture errors = capture(stderr);
	OK(conform_launch(function, 1, 1, 0, NULL, (void *[]){&a, &b}));
	GIVES(cuCtxSynchronize(), CUDA_ERROR_ASSERT);
	check_captured(&errors,
	    "kernels.cu:1234: assert_equal: block: [0,0,0], thread: [0,0,0] Assertion `a == b` "
	    "failed.",
	    false);
}
