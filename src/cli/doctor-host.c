/* Checks of the tree, the kernel, the environment, the NVIDIA driver's kernel half, and LLVM. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/doctor.h"
#include "wire/limits.h"

void doctor_check_tree(struct doctor *doctor)
{
	const struct install *install = &doctor->install;
	const struct {
		const char *path;
		int mode;
	} parts[] = {
	    {install->rosend, X_OK},
	    {install->worker, X_OK},
	    {install->bench_client, X_OK},
	    {install->libcuda, R_OK},
	    {install->libnvml, R_OK},
	    {install->softgpu, R_OK},
	};
	size_t n_missing = 0;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (access(parts[i].path, parts[i].mode) == 0)
			continue;
		n_missing++;
		doctor_find(doctor, "tree", FINDING_BAD,
		    "build it with `make` in Rosen's sources, or install Rosen again", "%s: %s",
		    parts[i].path, strerror(errno));
	}
	if (!n_missing)
		doctor_find(doctor, "tree", FINDING_GOOD, NULL, "%s is complete", install->prefix);
}

static bool memfd_works(void)
{
	_cleanup_fd_ int fd = -1;

	return fd_memory("rosen-doctor", 4096, &fd) == 0;
}

static bool pidfd_works(void)
{
	_cleanup_fd_ int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return fd >= 0;
}

static bool window_is_free(uint64_t base, uint64_t size)
{
	void *wanted = (void *)(uintptr_t)base; /* NOLINT(performance-no-int-to-ptr) */
	void *got = mmap(wanted, size, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (got != MAP_FAILED)
		munmap(got, size);
	return got == wanted;
}

void doctor_check_kernel(struct doctor *doctor)
{
	const char *newer = "run a Linux kernel of 5.3 or later; in a container, allow the call in "
			    "its seccomp profile";
	struct utsname kernel = {0};
	bool memfd = memfd_works(), pidfd = pidfd_works();

	uname(&kernel);
	if (!memfd)
		doctor_find(doctor, "kernel", FINDING_BAD, newer,
		    "no sealed shared memory (memfd_create): channels cannot be made");
	if (!pidfd)
		doctor_find(doctor, "kernel", FINDING_BAD, newer,
		    "no process descriptors (pidfd_open): rosend cannot watch its workers");
	if (memfd && pidfd)
		doctor_find(doctor, "kernel", FINDING_GOOD, NULL,
		    "Linux %s has sealed memory and process descriptors", kernel.release);
	if (!window_is_free(WIRE_DEVICE_WINDOW_BASE, WIRE_DEVICE_WINDOW_SIZE) ||
	    !window_is_free(WIRE_HOST_WINDOW_BASE, WIRE_HOST_WINDOW_SIZE))
		doctor_find(doctor, "addresses", FINDING_BAD,
		    "lift the limit on virtual memory: ulimit -v unlimited",
		    "the address windows for device memory cannot be reserved: %s",
		    strerror(errno));
	else
		doctor_find(doctor, "addresses", FINDING_GOOD, NULL,
		    "the address windows for device memory are free");
}

/* Each folder of a colon-separated list that holds a libcuda.so.1 other than ours. */
static size_t find_other_libcuda(struct doctor *doctor, const char *list)
{
	size_t n_found = 0;

	while (list && *list) {
		char path[INSTALL_PATH_MAX];
		size_t length = strcspn(list, ":");
		snprintf(path, sizeof(path), "%.*s/libcuda.so.1", (int)length, list);
		bool ours = length == strlen(doctor->install.libraries) &&
			    !strncmp(list, doctor->install.libraries, length);
		if (length && !ours && access(path, F_OK) == 0) {
			n_found++;
			doctor_find(doctor, "environment", FINDING_NOTE,
			    "nothing, with `rosen run`, which puts its own first; a program "
			    "started without it needs Rosen's lib/rosen before that folder",
			    "LD_LIBRARY_PATH holds another CUDA driver library: %s", path);
		}
		list += length;
		list += *list == ':';
	}
	return n_found;
}

static bool is_setting(const char *variable, size_t length)
{
	char name[CONFIG_VARIABLE_MAX];

	for (size_t i = 0; i < config_n_entries; i++)
		if (strlen(config_variable(&config_entries[i], name)) == length &&
		    !strncmp(name, variable, length))
			return true;
	return length == strlen("ROSEN_CONFIG") && !strncmp(variable, "ROSEN_CONFIG", length);
}

/* Nobody else would tell of a misspelt variable: what is not asked for is not seen. */
static size_t find_unknown_settings(struct doctor *doctor)
{
	size_t n_found = 0;

	for (char **at = environ; *at; at++) {
		size_t length = strcspn(*at, "=");
		if (strncmp(*at, "ROSEN_", strlen("ROSEN_")) || is_setting(*at, length))
			continue;
		n_found++;
		doctor_find(doctor, "environment", FINDING_NOTE,
		    "correct or unset it; `rosen info --config` lists the variables",
		    "%.*s is set and means nothing to Rosen", (int)MIN(length, 64), *at);
	}
	return n_found;
}

void doctor_check_environment(struct doctor *doctor)
{
	const char *preload = getenv("LD_PRELOAD"), *visible = getenv("CUDA_VISIBLE_DEVICES");
	size_t n_found =
	    find_other_libcuda(doctor, getenv("LD_LIBRARY_PATH")) + find_unknown_settings(doctor);
	struct rlimit files;

	if (visible) {
		n_found++;
		doctor_find(doctor, "environment", FINDING_NOTE,
		    "unset it where a program finds none or too few",
		    "CUDA_VISIBLE_DEVICES is \"%s\": programs see only the devices that it names",
		    visible);
	}
	if (preload && strstr(preload, "cuda")) {
		n_found++;
		doctor_find(doctor, "environment", FINDING_BAD, "unset LD_PRELOAD",
		    "LD_PRELOAD is \"%s\": what is preloaded comes before Rosen's libcuda.so.1",
		    preload);
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < 256) {
		n_found++;
		doctor_find(doctor, "environment", FINDING_BAD, "raise it: ulimit -Hn 4096",
		    "the limit on open files is %llu", (unsigned long long)files.rlim_max);
	}
	if (!n_found)
		doctor_find(doctor, "environment", FINDING_GOOD, NULL,
		    "nothing in LD_LIBRARY_PATH or LD_PRELOAD is in the way");
}

/* The driver's version from its kernel module, such as "580.82.07". */
static bool read_driver_version(char *version, size_t size)
{
	FILE *file = fopen("/proc/driver/nvidia/version", "re");
	char line[256] = "";

	if (!file)
		return false;
	bool read = fgets(line, sizeof(line), file);
	fclose(file);
	for (char *word = strtok(line, " \t\n"); read && word; word = strtok(NULL, " \t\n")) {
		if (word[0] < '0' || word[0] > '9' || !strchr(word, '.'))
			continue;
		snprintf(version, size, "%s", word);
		return true;
	}
	return false;
}

static unsigned count_gpu_nodes(char *bad, size_t size)
{
	DIR *folder = opendir("/dev");
	unsigned count = 0;

	*bad = '\0';
	if (!folder)
		return 0;
	for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
		char path[300];
		unsigned number;
		bool gpu = sscanf(entry->d_name, "nvidia%u", &number) == 1;
		bool control =
		    !strcmp(entry->d_name, "nvidiactl") || !strcmp(entry->d_name, "nvidia-uvm");
		if (!gpu && !control)
			continue;
		count += gpu;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		if (access(path, R_OK | W_OK))
			snprintf(bad, size, "%s", path);
	}
	closedir(folder);
	return count;
}

void doctor_check_nvidia(struct doctor *doctor)
{
	char version[64], bad[300];
	unsigned n_gpus = count_gpu_nodes(bad, sizeof(bad));
	bool loaded = read_driver_version(version, sizeof(version));

	doctor->has_gpu = loaded && n_gpus && !*bad;
	if (!n_gpus && !loaded) {
		doctor_find(doctor, "nvidia", FINDING_NOTE, NULL,
		    "no NVIDIA GPU or driver on this machine: the software GPU runs the calls");
		return;
	}
	if (!loaded)
		doctor_find(doctor, "nvidia", FINDING_BAD, "load it: modprobe nvidia",
		    "/dev has NVIDIA's device nodes, but the driver is not loaded");
	else if (!n_gpus)
		doctor_find(doctor, "nvidia", FINDING_BAD,
		    "nvidia-modprobe -c 0 -u; a container needs --gpus or --device",
		    "the driver (%s) is loaded, but there is no /dev/nvidia0", version);
	else if (*bad)
		doctor_find(doctor, "nvidia", FINDING_BAD,
		    "let the user that runs rosend read and write it (group video, udev rules)",
		    "%s cannot be opened by this user", bad);
	else
		doctor_find(doctor, "nvidia", FINDING_GOOD, NULL, "driver %s, %u device node%s",
		    version, n_gpus, n_gpus == 1 ? "" : "s");
}

/* Where the software GPU looks for it. True: SOFTGPU_LLVM says where. */
static bool compiler_path(const struct doctor *doctor, char *path, size_t size)
{
	const char *given = getenv("SOFTGPU_LLVM"), *slash = strrchr(doctor->install.softgpu, '/');

	if (given && *given)
		snprintf(path, size, "%s", given);
	else
		snprintf(path, size, "%.*s/softgpu-llvm.so", (int)(slash - doctor->install.softgpu),
		    doctor->install.softgpu);
	return given && *given;
}

void doctor_check_compiler(struct doctor *doctor)
{
	char path[INSTALL_PATH_MAX + 32];
	bool given = compiler_path(doctor, path, sizeof(path));
	/* Without a GPU nothing else can run a kernel. */
	enum finding_state state = doctor->has_gpu ? FINDING_NOTE : FINDING_BAD;

	if (!given && access(path, R_OK)) {
		doctor_find(doctor, "compiler", state,
		    "apt-get install llvm-19-dev, then build Rosen again: make",
		    "%s is missing: the software GPU was built without LLVM and runs no kernels",
		    path);
		return;
	}
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library) {
		doctor_find(doctor, "compiler", FINDING_GOOD, NULL,
		    "the software GPU's compiler can be loaded");
		dlclose(library);
		return;
	}
	doctor_find(doctor, "compiler", state,
	    given ? "correct or unset SOFTGPU_LLVM" : "apt-get install libllvm19",
	    "the software GPU's compiler cannot be loaded: %s", dlerror());
}
