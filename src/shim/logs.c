/*
 * The log of errors. A line says when, which thread, which function and what: the form that CUDA
 * documents. Lines go to the ring (error_log.h), to the file that the environment variable
 * CUDA_LOG_FILE names (stdout and stderr are names too), as with NVIDIA's driver, and to the
 * callbacks that the program has registered.
 *
 * Callbacks run on the thread whose call failed, without the lock; calls that fail inside one are
 * not noted. One that is unregistered meanwhile by another thread may run once more.
 */
#include "shim/logs.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "abi/error_text.h"
#include "gen/api_desc.h"
#include "gen/shim_custom.h"
#include "shim/error_log.h"
#include "shim/thread.h"

#define DUMP_ROOM (ERROR_LOG_LINES * ERROR_LOG_LINE + ERROR_LOG_LINE)

struct CUlogsCallbackEntry_st {
	struct CUlogsCallbackEntry_st *next;
	CUlogsCallback function;
	void *user;
};

/* Everything under lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct error_log messages;
static CUlogsCallbackHandle callbacks;
static int file = -1;
static bool file_asked_for;

void logs_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
}

/* --- noting --- */

/* What is no failure: an answer to "are you done?". */
static bool is_failure(CUresult result)
{
	return result != CUDA_SUCCESS && result != CUDA_ERROR_NOT_READY;
}

static void write_line(const char *line)
{
	if (!file_asked_for) {
		const char *name = getenv("CUDA_LOG_FILE");
		file_asked_for = true;
		if (name && !strcmp(name, "stdout"))
			file = STDOUT_FILENO;
		else if (name && !strcmp(name, "stderr"))
			file = STDERR_FILENO;
		else if (name && *name)
			file = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	}
	if (file >= 0)
		dprintf(file, "%s\n", line);
}

static void compose(char *line, size_t room, enum api_fn function, CUresult result)
{
	const char *name = abi_error_name(result), *text = abi_error_text(result);
	struct timespec now;
	struct tm local;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &local);
	snprintf(line, room, "[%02d:%02d:%02d.%03ld][%d][CUDA][E][%s] %s (%d): %s", local.tm_hour,
	    local.tm_min, local.tm_sec, now.tv_nsec / 1000000, (int)gettid(),
	    api_desc[function].name, name ?: "unknown error", (int)result, text ?: "");
}

/* A copy of the list, so that callbacks run without the lock; ends with a NULL function. */
static struct CUlogsCallbackEntry_st *copy_callbacks(void)
{
	struct CUlogsCallbackEntry_st *copy;
	size_t n = 0;

	for (CUlogsCallbackHandle entry = callbacks; entry; entry = entry->next)
		n++;
	copy = n ? calloc(n + 1, sizeof(*copy)) : NULL;
	n = 0;
	for (CUlogsCallbackHandle entry = callbacks; copy && entry; entry = entry->next)
		copy[n++] = *entry;
	return copy;
}

void logs_note(enum api_fn function, CUresult result)
{
	char line[ERROR_LOG_LINE];

	if (!is_failure(result) || shim_thread.noting)
		return;
	shim_thread.noting = true;
	compose(line, sizeof(line), function, result);
	pthread_mutex_lock(&lock);
	error_log_add(&messages, line);
	write_line(line);
	struct CUlogsCallbackEntry_st *due = copy_callbacks();
	pthread_mutex_unlock(&lock);
	for (struct CUlogsCallbackEntry_st *entry = due; entry && entry->function; entry++)
		entry->function(entry->user, CU_LOG_LEVEL_ERROR, line, strlen(line));
	free(due);
	shim_thread.noting = false;
}

/* --- the driver's functions --- */

CUresult shim_cuLogsRegisterCallback(
    CUlogsCallback function, void *user, CUlogsCallbackHandle *handle)
{
	if (!function)
		return CUDA_ERROR_INVALID_VALUE;
	CUlogsCallbackHandle entry = malloc(sizeof(*entry));
	if (!entry)
		return CUDA_ERROR_OUT_OF_MEMORY;
	pthread_mutex_lock(&lock);
	*entry = (struct CUlogsCallbackEntry_st){callbacks, function, user};
	callbacks = entry;
	pthread_mutex_unlock(&lock);
	if (handle)
		*handle = entry;
	return CUDA_SUCCESS;
}

CUresult shim_cuLogsUnregisterCallback(CUlogsCallbackHandle callback)
{
	CUlogsCallbackHandle *at = &callbacks;

	pthread_mutex_lock(&lock);
	while (*at && *at != callback)
		at = &(*at)->next;
	CUlogsCallbackHandle found = *at;
	if (found)
		*at = found->next;
	pthread_mutex_unlock(&lock);
	free(found);
	return found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult shim_cuLogsCurrent(CUlogIterator *iterator, unsigned flags)
{
	(void)flags; /* none is wrong */
	pthread_mutex_lock(&lock);
	*iterator = messages.next;
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

CUresult shim_cuLogsDumpToMemory(
    CUlogIterator *iterator, char *buffer, size_t *bytes, unsigned flags)
{
	if (flags || !*bytes)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	CUresult r = error_log_dump(&messages, iterator ? *iterator : 0, buffer, bytes);
	if (r == CUDA_SUCCESS && iterator)
		*iterator = messages.next;
	pthread_mutex_unlock(&lock);
	return r;
}

static CUresult write_file(const char *path, const char *text, size_t bytes)
{
	FILE *out = fopen(path, "we");

	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	bool written = fwrite(text, 1, bytes, out) == bytes;
	return fclose(out) == 0 && written ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult shim_cuLogsDumpToFile(CUlogIterator *iterator, const char *path, unsigned flags)
{
	CUlogIterator from = iterator ? *iterator : 0;
	size_t bytes = DUMP_ROOM;
	char *text = malloc(bytes);

	if (!text)
		return CUDA_ERROR_OUT_OF_MEMORY;
	CUresult r = shim_cuLogsDumpToMemory(&from, text, &bytes, flags);
	if (r == CUDA_SUCCESS)
		r = write_file(path, text, bytes);
	free(text);
	if (r == CUDA_SUCCESS && iterator)
		*iterator = from;
	return r;
}
