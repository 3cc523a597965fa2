/*
 * A worker over the software GPU, as a hostile program reaches it: the input is the row of records
 * (fuzz-records.h) of one session, served one after the other. Nothing may crash, grow without end
 * or sleep for ever, whatever the records say.
 *
 * A device remembers what was done to it, and what an input finds there should not depend on those
 * before it. So each input has a process of its own (fuzz-snapshot.h), a copy of one in which
 * driver and worker have just begun.
 *
 * What cannot end by itself is left out: waits for a word in memory that nobody writes. Callbacks
 * find the session over and return at once.
 *
 * The thread that reads the input serves all of it: of what two threads do to one object at a time
 * CUDA promises nothing, nor does the software GPU. Its own threads are held up now and then
 * (fuzz-threads.h).
 *
 * Images and kernels: a session's attachments are what the conformance programs load, and compiled
 * code is kept beside the build.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/test.h"
#include "gen/api_ids.h"
#include "gen/cuda_api.h"
#include "softgpu/driver/memory.h"
#include "worker/backend_host.h"
#include "worker/callback.h"
#include "worker/fuzz-compare.h"
#include "worker/fuzz-records.h"
#include "worker/fuzz-snapshot.h"
#include "worker/fuzz-threads.h"

#define MEMORY_MIB "512"

static struct backend backend;
static struct backend_host host;
static char *image;
static size_t image_size, image_at;
static struct chan *client, *server;
static struct worker *worker;

static void read_image(void)
{
	int fd = open(FUZZ_IMAGE, O_RDONLY | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);

	CHECK(size > 0);
	image_size = (size_t)size + 1;
	image = calloc(1, image_size);
	CHECK(image && pread(fd, image, (size_t)size, 0) == size);
	fd_close(fd);
}

/* Attached bytes are the image's, from its beginning with each call's first. */
static void attach(const struct wire_record *record)
{
	struct wire_bulk run;

	if (record->size < sizeof(*record) + sizeof(run))
		return;
	memcpy(&run, record + 1, sizeof(run));
	char *memory = chan_staging_memory(server, &run);
	if (!memory || !run.size)
		return;
	size_t size = image_at < image_size ? MIN(run.size, image_size - image_at) : 0;
	memset(memory, 0, run.size);
	memcpy(memory, image + image_at, size);
	image_at += size;
}

static bool before(struct wire_record *record)
{
	switch (record->id) {
	case API_cuStreamWaitValue32_v2:
	case API_cuStreamWaitValue64_v2:
	case API_cuStreamBatchMemOp:
	case API_cuStreamBatchMemOp_v2:
		return false;
	case WIRE_ID_ATTACH:
		attach(record);
		return true;
	default:
		image_at = 0;
		return true;
	}
}

static void prepare(void)
{
	struct chan_geometry geometry = {
	    .ring_size = 128 << 10, .staging_size = 1 << 20, .lanes = LANES, .functions = 16};
	struct worker_options options = {.quiet_waits = true,
	    .known_idle = true,
	    .gpu_answers = true,
	    .no_waiters = true,
	    .measure_gpu = true,
	    .lanes = LANES,
	    .staging_size = geometry.staging_size,
	    .bulk_limit = 4 << 20};

	log_set_level(LOG_ERROR);
	backend_load(&backend, dlopen(NULL, RTLD_NOW));
	host = (struct backend_host){cuMemHostRegister_v2, cuMemHostUnregister,
	    cuMemHostGetDevicePointer_v2, rosen_softgpu_memory};
	read_image();
	CHECK(backend.cuInit(0) == CUDA_SUCCESS);
	fuzz_open_channel(&geometry, &client, &server);
	worker = worker_new(&options, &backend, &host, server);
	CHECK(worker);
	callbacks_stop(worker->callbacks);
}

static void serve(const uint8_t *data, size_t size)
{
	fuzz_threads_begin(data, size);
	fuzz_compare_begin();
	fuzz_feed(worker, data, size, before);
	backend.cuCtxSynchronize();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	CHECK(setenv("SOFTGPU_LLVM", FUZZ_LLVM, 0) == 0);
	CHECK(setenv("SOFTGPU_CACHE", FUZZ_CACHE, 0) == 0);
	CHECK(setenv("SOFTGPU_MEMORY", MEMORY_MIB, 1) == 0);
	CHECK(setenv("SOFTGPU_THREADS", "2", 0) == 0);
	fuzz_compare_init(snapshot_share(fuzz_compare_size));
	snapshot_start(prepare, serve);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int r = snapshot_run(data, size);
	if (r == 0)
		fuzz_compare_learn(data, size);
	return r;
}
