/*
 * The traces that a run's processes left (base/trace.h), merged into one file in Chrome's trace
 * format: complete events ("ph": "X") in microseconds, one row per thread, named processes. A call
 * that waited has events inside it, "wait", "worker" and "driver", so that what was waiting for
 * what is seen at a glance.
 *
 * The files were written by the program's processes and may be cut short by their death: sizes are
 * taken from the file, not from what it says. They are read, not mapped: what a full disk has no
 * room for cannot be looked at in a mapping.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/trace.h"
#include "cli/cli.h"
#include "cli/functions.h"
#include "cli/run.h"

struct merge {
	FILE *out;
	bool first;	    /* no event was written yet */
	uint64_t n_dropped; /* records that did not fit into their file */
	unsigned n_files;
};

static void next_event(struct merge *merge)
{
	fputs(merge->first ? "\n" : ",\n", merge->out);
	merge->first = false;
}

/* text as a JSON string. */
static void put_string(FILE *out, const char *text)
{
	struct json_object *string = json_object_new_string(text);

	fputs(json_object_to_json_string_ext(string, JSON_C_TO_STRING_NOSLASHESCAPE), out);
	json_object_put(string);
}

static void put_event(struct merge *merge, const char *name, const char *category, uint32_t pid,
    uint32_t thread, uint64_t start_ns, uint64_t duration_ns)
{
	next_event(merge);
	fprintf(merge->out, "{\"ph\":\"X\",\"cat\":\"%s\",\"pid\":%u,\"tid\":%u,", category, pid,
	    thread);
	fprintf(merge->out,
	    "\"ts\":%llu.%03u,\"dur\":%llu.%03u,\"name\":", (unsigned long long)(start_ns / 1000),
	    (unsigned)(start_ns % 1000), (unsigned long long)(duration_ns / 1000),
	    (unsigned)(duration_ns % 1000));
	put_string(merge->out, name);
}

static void put_us(FILE *out, const char *name, uint64_t ns)
{
	fprintf(out, ",\"%s_us\":%llu.%03u", name, (unsigned long long)(ns / 1000),
	    (unsigned)(ns % 1000));
}

/* Of a call: where its time went. The ring is what waiting leaves over, there and back. */
static void put_arguments(struct merge *merge, const struct trace_record *record)
{
	uint64_t waited = MIN(record->waited_ns, record->duration_ns);
	uint64_t worker = MIN(record->worker_ns, waited), driver = MIN(record->driver_ns, worker);

	fprintf(merge->out, ",\"args\":{\"result\":%d", record->result);
	put_us(merge->out, "waited", record->waited_ns);
	if (record->taken_ns) {
		put_us(merge->out, "shim", record->duration_ns - waited);
		put_us(merge->out, "ring", waited - worker);
		put_us(merge->out, "worker", worker - driver);
		put_us(merge->out, "driver", driver);
	}
	fputs("}}", merge->out);
}

static void put_span(struct merge *merge, const char *name, uint32_t pid, uint32_t thread,
    uint64_t start_ns, uint64_t duration_ns)
{
	put_event(merge, name, name, pid, thread, start_ns, duration_ns);
	fputc('}', merge->out);
}

/*
 * The wait is a call's last part. In it lies the worker's, from when it took the record, and in
 * that the driver's, whose moment nobody noted: it is shown at the end. What the worker said is
 * only believed where it fits.
 */
static void put_wait(
    struct merge *merge, uint32_t pid, const struct trace_record *record, uint64_t start_ns)
{
	uint64_t end = start_ns + record->duration_ns;
	uint64_t waited = MIN(record->waited_ns, record->duration_ns), from = end - waited;
	uint64_t worker = MIN(record->worker_ns, waited), driver = MIN(record->driver_ns, worker);

	put_span(merge, "wait", pid, record->thread, from, waited);
	if (!record->taken_ns)
		return;
	uint64_t taken = MIN(MAX(record->taken_ns, from), end - worker);
	put_span(merge, "worker", pid, record->thread, taken, worker);
	if (driver)
		put_span(merge, "driver", pid, record->thread, taken + worker - driver, driver);
}

static void put_record(struct merge *merge, uint32_t pid, const struct trace_record *record)
{
	/* Acquire: the writer stores the start last; the file is no longer written in any case. */
	uint64_t start_ns = atomic_load_explicit(&record->start_ns, memory_order_acquire);

	if (!start_ns)
		return;
	put_event(merge, function_name(record->function), "call", pid, record->thread, start_ns,
	    record->duration_ns);
	put_arguments(merge, record);
	if (record->waited_ns)
		put_wait(merge, pid, record, start_ns);
}

static void put_process(struct merge *merge, const struct trace_header *header)
{
	char program[sizeof(header->program) + 1] = "";

	memcpy(program, header->program, sizeof(header->program));
	next_event(merge);
	fprintf(merge->out,
	    "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%u,\"args\":{\"name\":", header->pid);
	put_string(merge->out, program);
	fputs("}}", merge->out);
}

/* What the writer of a file says that fits it; false: it is none, or nothing was written. */
static bool read_header(FILE *file, struct trace_header *header)
{
	return fread(header, sizeof(*header), 1, file) == 1 && header->magic == TRACE_MAGIC &&
	       header->header_size >= sizeof(*header) &&
	       header->record_size >= sizeof(struct trace_record) &&
	       fseeko(file, header->header_size, SEEK_SET) == 0;
}

static int put_file(struct merge *merge, FILE *file)
{
	struct trace_header header;
	struct trace_record record;

	if (!read_header(file, &header))
		return ferror(file) ? error_origin(-errno) : 0;
	uint64_t used = header.used, n = MIN(used, header.capacity), i = 0;
	off_t skipped = (off_t)(header.record_size - sizeof(record));
	merge->n_files++;
	put_process(merge, &header);
	for (; i < n && fread(&record, sizeof(record), 1, file) == 1; i++) {
		put_record(merge, header.pid, &record);
		if (ferror(merge->out) || (skipped && fseeko(file, skipped, SEEK_CUR) < 0))
			return error_origin(-errno);
	}
	merge->n_dropped += used - i;
	return ferror(file) ? error_origin(-errno) : 0;
}

static int merge_file(struct merge *merge, int folder, const char *name)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat status;

	if (fd < 0)
		return error_origin(-errno);
	FILE *file = fstat(fd, &status) < 0 ? NULL : fdopen(fd, "r");
	if (!file) {
		int r = error_origin(-errno);
		fd_close(fd);
		return r;
	}
	int r = S_ISREG(status.st_mode) ? put_file(merge, file) : 0;
	fclose(file);
	return error_trace(r);
}

static int merge_folder(struct merge *merge, const char *path)
{
	DIR *folder = opendir(path);
	int r = 0;

	if (!folder)
		return error_origin(-errno);
	for (struct dirent *entry = readdir(folder); entry && r == 0; entry = readdir(folder)) {
		const char *dot = strrchr(entry->d_name, '.');
		if (dot && !strcmp(dot, ".trace"))
			r = merge_file(merge, dirfd(folder), entry->d_name);
	}
	closedir(folder);
	return error_trace(r);
}

int run_merge_traces(const char *folder, const char *path)
{
	struct merge merge = {.out = fopen(path, "we"), .first = true};

	if (!merge.out) {
		cli_error("cannot write the trace to %s: %s", path, strerror(errno));
		return error_origin(-errno);
	}
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", merge.out);
	int r = merge_folder(&merge, folder);
	fputs("\n]}\n", merge.out);
	bool failed = ferror(merge.out);
	if ((fclose(merge.out) || failed) && r == 0)
		r = error_origin(-errno);
	if (r < 0)
		cli_error("the trace %s is not whole: %s", path, strerror(-r));
	else if (!merge.n_files)
		cli_error("the trace %s is empty: no process of the program left one", path);
	else
		cli_error("the trace of %u process%s is in %s: open it in ui.perfetto.dev",
		    merge.n_files, merge.n_files == 1 ? "" : "es", path);
	if (merge.n_dropped)
		cli_error("%llu calls were not recorded: the trace was full",
		    (unsigned long long)merge.n_dropped);
	return r;
}
