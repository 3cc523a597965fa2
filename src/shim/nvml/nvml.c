/*
 * libnvidia-ml.so.1 of the tenant: the library itself, and what it says of the system.
 *
 * It has no session of its own. nvmlInit() loads the libcuda.so.1 that lies beside it and takes one
 * private table from it (bridge.h), through which that library connects, without a context and
 * without cuInit, and tells what it knows: the snapshot for everything constant, one message for
 * what changes. So a process that uses both libraries is one session, and a process that only
 * monitors needs no GPU memory.
 *
 * Of NVML's 440 names 124 are live (nvml.h) and 316 are exported without an answer (nosup.def);
 * test nvml-names counts them. A live function answers only what the snapshot or the worker really
 * says, otherwise NVML_ERROR_NOT_SUPPORTED; in particular no NVLink, MIG, fabric or confidential
 * computing is claimed. NVML knows no CUDA_VISIBLE_DEVICES: all devices of the tenant are shown.
 *
 * Checks come in this order: initialised, device and pointers, values, versions of structs, what
 * the backend knows. Any thread; there is no lock here. In the child of a fork() the parent's
 * nvmlInit() still counts, as with NVIDIA's library: the child's first question connects it anew,
 * also when the parent had used CUDA, which the child may not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/util.h"
#include "shim/nvml/internal.h"

/* The worker's libraries look for this name to see that they were not given the tenant's. */
NVML_API extern const char rosen_shim_marker[];
const char rosen_shim_marker[] = "libnvidia-ml";

/* nvmlInit() calls without their nvmlShutdown(). */
static _Atomic unsigned n_users;

/* Set by the first nvmlInit() that finds it, before n_users is raised: the release there orders it
 * for everyone who sees himself initialised. */
static const struct nvml_bridge *_Atomic bridge;

static nvmlReturn_t connect_bridge(const struct nvml_bridge *table, struct nvml_view *view)
{
	view->bridge = table;
	switch (table->connect(&view->snapshot)) {
	case CUDA_SUCCESS:
		return NVML_SUCCESS;
	case CUDA_ERROR_NO_DEVICE:
		return NVML_ERROR_DRIVER_NOT_LOADED;
	case CUDA_ERROR_OUT_OF_MEMORY:
		return NVML_ERROR_MEMORY;
	default:
		return NVML_ERROR_UNKNOWN;
	}
}

nvmlReturn_t nvml_enter(const void *out, struct nvml_view *view)
{
	if (!atomic_load_explicit(&n_users, memory_order_acquire))
		return NVML_ERROR_UNINITIALIZED;
	if (!out)
		return NVML_ERROR_INVALID_ARGUMENT;
	return connect_bridge(atomic_load_explicit(&bridge, memory_order_relaxed), view);
}

/* --- the library --- */

nvmlReturn_t nvmlInitWithFlags(unsigned flags)
{
	struct nvml_libcuda libcuda = {
	    .bridge = atomic_load_explicit(&bridge, memory_order_acquire)};
	struct nvml_view view;
	nvmlReturn_t r = NVML_SUCCESS;

	if (flags &
	    ~(NVML_INIT_FLAG_NO_GPUS | NVML_INIT_FLAG_NO_ATTACH | NVML_INIT_FLAG_FORCE_INIT))
		return NVML_ERROR_INVALID_ARGUMENT;
	if (!libcuda.bridge) {
		log_init("nvml");
		r = nvml_libcuda_find(&libcuda);
	}
	if (r == NVML_SUCCESS)
		r = connect_bridge(libcuda.bridge, &view);
	if (r != NVML_SUCCESS)
		return r;
	/* Several threads may come here at once: they all found the same table. */
	atomic_store_explicit(&bridge, libcuda.bridge, memory_order_release);
	atomic_fetch_add_explicit(&n_users, 1, memory_order_release);
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlInit_v2(void)
{
	return nvmlInitWithFlags(0);
}

nvmlReturn_t nvmlInit(void)
{
	return nvmlInitWithFlags(0);
}

/* The session stays: it ends with the process. */
nvmlReturn_t nvmlShutdown(void)
{
	unsigned users = atomic_load_explicit(&n_users, memory_order_relaxed);

	do {
		if (!users)
			return NVML_ERROR_UNINITIALIZED;
	} while (!atomic_compare_exchange_weak_explicit(
	    &n_users, &users, users - 1, memory_order_acq_rel, memory_order_relaxed));
	return NVML_SUCCESS;
}

const char *nvmlErrorString(nvmlReturn_t result)
{
	static const char *const texts[] = {
	    [NVML_SUCCESS] = "Success",
	    [NVML_ERROR_UNINITIALIZED] = "Uninitialized",
	    [NVML_ERROR_INVALID_ARGUMENT] = "Invalid Argument",
	    [NVML_ERROR_NOT_SUPPORTED] = "Not Supported",
	    [NVML_ERROR_NO_PERMISSION] = "Insufficient Permissions",
	    [NVML_ERROR_ALREADY_INITIALIZED] = "Already Initialized",
	    [NVML_ERROR_NOT_FOUND] = "Not Found",
	    [NVML_ERROR_INSUFFICIENT_SIZE] = "Insufficient Size",
	    [NVML_ERROR_INSUFFICIENT_POWER] = "Insufficient External Power",
	    [NVML_ERROR_DRIVER_NOT_LOADED] = "Driver Not Loaded",
	    [NVML_ERROR_TIMEOUT] = "Timeout",
	    [NVML_ERROR_IRQ_ISSUE] = "Interrupt Request Issue",
	    [NVML_ERROR_LIBRARY_NOT_FOUND] = "NVML Shared Library Not Found",
	    [NVML_ERROR_FUNCTION_NOT_FOUND] = "Function Not Found",
	    [NVML_ERROR_CORRUPTED_INFOROM] = "Corrupted infoROM",
	    [NVML_ERROR_GPU_IS_LOST] = "GPU is lost",
	    [NVML_ERROR_RESET_REQUIRED] = "GPU requires reset",
	    [NVML_ERROR_OPERATING_SYSTEM] = "GPU access blocked by the operating system",
	    [NVML_ERROR_LIB_RM_VERSION_MISMATCH] = "Driver/library version mismatch",
	    [NVML_ERROR_IN_USE] = "In use by another client",
	    [NVML_ERROR_MEMORY] = "Insufficient Memory",
	    [NVML_ERROR_NO_DATA] = "No data",
	    [NVML_ERROR_VGPU_ECC_NOT_SUPPORTED] = "Not supported while ECC is enabled",
	    [NVML_ERROR_INSUFFICIENT_RESOURCES] = "Insufficient resources",
	    [NVML_ERROR_FREQ_NOT_SUPPORTED] = "Frequency not supported",
	    [NVML_ERROR_ARGUMENT_VERSION_MISMATCH] = "Argument version mismatch",
	    [NVML_ERROR_DEPRECATED] = "Deprecated",
	    [NVML_ERROR_NOT_READY] = "Not ready",
	    [NVML_ERROR_GPU_NOT_FOUND] = "GPU not found",
	    [NVML_ERROR_INVALID_STATE] = "Invalid state",
	    [NVML_ERROR_RESET_TYPE_NOT_SUPPORTED] = "Reset type not supported",
	};

	return (unsigned)result < ARRAY_SIZE(texts) ? texts[result] : "Unknown Error";
}

nvmlReturn_t nvml_result(CUresult answer)
{
	switch (answer) {
	case CUDA_SUCCESS:
		return NVML_SUCCESS;
	case CUDA_ERROR_LAUNCH_FAILED: /* the worker is gone */
		return NVML_ERROR_GPU_IS_LOST;
	case CUDA_ERROR_NOT_SUPPORTED:
		return NVML_ERROR_NOT_SUPPORTED;
	default:
		return NVML_ERROR_UNKNOWN;
	}
}

/* --- the system --- */

/* Of the server's NVIDIA driver; the software GPU has none. */
nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned length)
{
	struct nvml_view view;
	nvmlReturn_t r = nvml_enter(version, &view);

	if (r != NVML_SUCCESS)
		return r;
	return *view.snapshot->driver_text ? nvml_text(view.snapshot->driver_text, version, length)
					   : NVML_ERROR_NOT_SUPPORTED;
}

/*
 * CUDA's major version and the driver's, as NVIDIA's own library says: nvidia-smi compares the
 * latter with its own and refuses to work with another. Where there is no driver it is Rosen's
 * version.
 */
nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned length)
{
	struct nvml_view view;
	char text[sizeof(view.snapshot->driver_text) + 8];
	nvmlReturn_t r = nvml_enter(version, &view);

	if (r != NVML_SUCCESS)
		return r;
	snprintf(text, sizeof(text), "%u.%s", view.snapshot->driver_version / 1000,
	    *view.snapshot->driver_text ? view.snapshot->driver_text : ROSEN_VERSION);
	return nvml_text(text, version, length);
}

/* What cuDriverGetVersion() says. Needs no nvmlInit(). */
nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
	struct nvml_libcuda libcuda = {0};

	if (!version)
		return NVML_ERROR_INVALID_ARGUMENT;
	nvmlReturn_t r = nvml_libcuda_find(&libcuda);
	if (r != NVML_SUCCESS)
		return r;
	return libcuda.driver_version(version) == CUDA_SUCCESS ? NVML_SUCCESS : NVML_ERROR_UNKNOWN;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version)
{
	return nvmlSystemGetCudaDriverVersion_v2(version);
}

/* The program as it was started, cut to length. */
nvmlReturn_t nvmlSystemGetProcessName(unsigned pid, char *name, unsigned length)
{
	char path[32];
	struct nvml_view view;
	nvmlReturn_t r = nvml_enter(name, &view);

	if (r != NVML_SUCCESS)
		return r;
	if (!length)
		return NVML_ERROR_INVALID_ARGUMENT;
	snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? NVML_ERROR_NOT_FOUND : NVML_ERROR_NO_PERMISSION;
	ssize_t size = read(fd, name, length - 1);
	if (size < 0)
		return errno == ESRCH ? NVML_ERROR_NOT_FOUND : NVML_ERROR_NO_PERMISSION;
	name[size] = '\0';
	return NVML_SUCCESS;
}
