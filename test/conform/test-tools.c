/*
 * Functions for tools, and others few programs use: the log of errors, settings of core dumps,
 * notifications. Where a library has none of them the test ends as skipped.
 */
#include <stdio.h>
#include <unistd.h>

#include "conform.h"

static unsigned n_messages;
static char last_message[1024];

static void on_message(void *data, CUlogLevel level, char *message, size_t length)
{
	CHECK_EQ(level, CU_LOG_LEVEL_ERROR);
	CHECK(data == &n_messages);
	n_messages++;
	snprintf(last_message, sizeof(last_message), "%.*s", (int)length, message);
}

/* Something that fails with words to say about it. */
static void fail_once(void)
{
	CUstream stream;

	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
	GIVES(cuStreamSynchronize(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
}

CONFORM(failures_reach_the_callback)
{
	CUlogsCallbackHandle handle;

	conform_begin();
	NEEDS(cuLogsRegisterCallback(on_message, &n_messages, &handle));
	fail_once();
	CHECK(n_messages >= 1);
	CHECK(last_message[0]);
	OK(cuLogsUnregisterCallback(handle));
	unsigned before = n_messages;
	fail_once();
	CHECK_EQ(n_messages, before);
	GIVES(cuLogsRegisterCallback(NULL, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
}

CONFORM(failures_are_dumped_from_where_one_looked)
{
	static char text[25600];
	CUlogIterator here;
	size_t bytes = sizeof(text);

	conform_begin();
	NEEDS(cuLogsCurrent(&here, 0));
	OK(cuLogsDumpToMemory(&here, text, &bytes, 0));
	CHECK_EQ(bytes, 0);
	fail_once();
	bytes = sizeof(text);
	OK(cuLogsDumpToMemory(&here, text, &bytes, 0));
	CHECK(bytes > 0 && strlen(text) == bytes);
	CHECK(strstr(text, "cuStreamSynchronize"));
	bytes = sizeof(text);
	OK(cuLogsDumpToMemory(&here, text, &bytes, 0));
	CHECK_EQ(bytes, 0);
	bytes = sizeof(text);
	OK(cuLogsDumpToMemory(NULL, text, &bytes, 0));
	CHECK(bytes > 0);
	bytes = 1; /* room for nothing */
	OK(cuLogsDumpToMemory(NULL, text, &bytes, 0));
}

CONFORM(failures_are_dumped_to_a_file)
{
	char path[] = "/tmp/conform-logs-XXXXXX", text[4096] = "";
	CUlogIterator here;

	conform_begin();
	NEEDS(cuLogsCurrent(&here, 0));
	int fd = mkstemp(path);
	CHECK(fd >= 0);
	fail_once();
	OK(cuLogsDumpToFile(&here, path, 0));
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	CHECK(strstr(text, "cuStreamSynchronize"));
	close(fd);
	unlink(path);
}

CONFORM(failures_go_to_the_file_that_the_environment_names)
{
	char path[] = "/tmp/conform-logs-XXXXXX", text[4096] = "";
	CUlogIterator here;

	int fd = mkstemp(path);
	CHECK(fd >= 0);
	setenv("CUDA_LOG_FILE", path, 1);
	conform_begin();
	CUresult r = cuLogsCurrent(&here, 0);
	if (r == CUDA_SUCCESS) {
		fail_once();
		CHECK(read(fd, text, sizeof(text) - 1) > 0);
	}
	close(fd);
	unlink(path);
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		SKIP("no log of errors");
	OK(r);
	CHECK(strstr(text, "cuStreamSynchronize"));
}

CONFORM(core_dumps_are_off_until_asked_for)
{
	char name[1024] = "";
	bool on = true, host = false;
	size_t bytes = sizeof(on);
	int flags = -1;

	conform_begin();
	NEEDS(cuCoredumpGetAttributeGlobal(CU_COREDUMP_ENABLE_ON_EXCEPTION, &on, &bytes));
	CHECK(!on);
	bytes = sizeof(host);
	OK(cuCoredumpGetAttribute(CU_COREDUMP_TRIGGER_HOST, &host, &bytes));
	CHECK(host);
	bytes = sizeof(flags);
	OK(cuCoredumpGetAttributeGlobal(CU_COREDUMP_GENERATION_FLAGS, &flags, &bytes));
	CHECK_EQ(flags, CU_COREDUMP_DEFAULT_FLAGS);
	bytes = sizeof(name);
	OK(cuCoredumpGetAttribute(CU_COREDUMP_FILE, name, &bytes));
	bytes = 0;
	OK(cuCoredumpGetAttribute(CU_COREDUMP_GENERATION_FLAGS, NULL, &bytes));
	CHECK_EQ(bytes, sizeof(flags));
	GIVES(cuCoredumpGetAttribute((CUcoredumpSettings)1000, &flags, &bytes),
	    CUDA_ERROR_INVALID_VALUE);
	/* There is one pipe for the process. */
	bytes = sizeof(on);
	GIVES(cuCoredumpGetAttribute(CU_COREDUMP_ENABLE_USER_TRIGGER, &on, &bytes),
	    CUDA_ERROR_INVALID_VALUE);
	on = true;
	GIVES(cuCoredumpSetAttribute(CU_COREDUMP_ENABLE_USER_TRIGGER, &on, &bytes),
	    CUDA_ERROR_INVALID_VALUE);
	OK(cuCoredumpGetAttributeGlobal(CU_COREDUMP_ENABLE_USER_TRIGGER, &on, &bytes));
	CHECK(!on);
	bytes = sizeof(name);
	OK(cuCoredumpGetAttributeGlobal(CU_COREDUMP_PIPE, name, &bytes));
	GIVES(cuCoredumpGetAttribute(CU_COREDUMP_PIPE, name, &bytes), CUDA_ERROR_INVALID_VALUE);
}

CONFORM(core_dump_settings_are_kept)
{
	char name[1024] = "", wanted[] = "a-file-of-the-test";
	int flags = CU_COREDUMP_SKIP_SHARED_MEMORY, got = 0;
	size_t bytes = sizeof(wanted);

	conform_begin();
	NEEDS(cuCoredumpSetAttribute(CU_COREDUMP_FILE, wanted, &bytes));
	bytes = sizeof(name);
	OK(cuCoredumpGetAttribute(CU_COREDUMP_FILE, name, &bytes));
	CHECK_STR(name, wanted);
	bytes = sizeof(flags);
	OK(cuCoredumpSetAttributeGlobal(CU_COREDUMP_GENERATION_FLAGS, &flags, &bytes));
	bytes = sizeof(got);
	OK(cuCoredumpGetAttributeGlobal(CU_COREDUMP_GENERATION_FLAGS, &got, &bytes));
	CHECK_EQ(got, flags);
}

CONFORM(the_own_process_runs)
{
	CUprocessState state;

	conform_begin();
	NEEDS(cuCheckpointProcessGetState(getpid(), &state));
	CHECK_EQ(state, CU_PROCESS_STATE_RUNNING);
	GIVES(cuCheckpointProcessGetState(-1, &state), CUDA_ERROR_OPERATING_SYSTEM);
}

CONFORM(the_profilers_range)
{
	conform_begin();
	OK(cuProfilerStart());
	OK(cuProfilerStop());
}

static void on_notification(
    CUasyncNotificationInfo *info, void *user, CUasyncCallbackHandle callback)
{
}

CONFORM(notifications_are_registered)
{
	CUasyncCallbackHandle handle;

	conform_begin();
	NEEDS(cuDeviceRegisterAsyncNotification(0, on_notification, NULL, &handle));
	OK(cuDeviceUnregisterAsyncNotification(0, handle));
	GIVES(cuDeviceRegisterAsyncNotification(100000, on_notification, NULL, &handle),
	    CUDA_ERROR_INVALID_DEVICE);
}

CONFORM(no_function_is_at_one_address_on_host_and_device)
{
	CUlibrary library;
	void *function;

	conform_begin();
	OK(cuLibraryLoadData(&library, conform_ptx, NULL, NULL, 0, NULL, NULL, 0));
	CHECK(cuLibraryGetUnifiedFunction(&function, library, "nowhere") != CUDA_SUCCESS);
	OK(cuLibraryUnload(library));
}
