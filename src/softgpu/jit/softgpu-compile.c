/*
 * softgpu-compile: the process that compiles apart (apart.h says why). apart.c starts it for one
 * kernel, with descriptor 3 the file that they share:
 *
 *	softgpu-compile PATH-OF-softgpu-llvm.so 3<>FILE
 *
 * When its processor time is up the system sends SIGXCPU, whose handler says so in the file. It
 * ends with the thread that waits for it, and is the first to go when memory runs out.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "softgpu/jit/apart.h"
#include "softgpu/jit/llvm.h"

enum { EXIT_NO_FILE = 2, EXIT_NO_ROOM };

static struct apart_file *file; /* shared */

_Noreturn static void answer(enum apart_result result)
{
	file->result = result;
	_exit(0);
}

_Noreturn static void fail(enum apart_result result, const char *why)
{
	snprintf(file->message, sizeof(file->message), "%s", why);
	answer(result);
}

/* Nothing but memory is touched: LLVM may be anywhere. */
static void time_is_up(int number)
{
	static const char text[] = "LLVM took longer than SOFTGPU_COMPILE_LIMIT says";

	memcpy(file->message, text, sizeof(text));
	answer(APART_TOO_LONG);
}

static void limit_time(uint32_t seconds)
{
	struct rlimit limit = {seconds, (rlim_t)seconds + 2};

	signal(SIGXCPU, time_is_up);
	setrlimit(RLIMIT_CPU, &limit);
}

static void go_first(void)
{
	_cleanup_fd_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "1000", 4) != 4)
		return; /* then it is one process among others */
}

static void map_file(void)
{
	struct stat status;
	void *mapped;

	if (fstat(APART_FD, &status) || (size_t)status.st_size < sizeof(*file))
		_exit(EXIT_NO_FILE);
	mapped =
	    mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, APART_FD, 0);
	if (mapped == MAP_FAILED)
		_exit(EXIT_NO_FILE);
	file = mapped;
	if (file->ir_size >= (size_t)status.st_size - sizeof(*file))
		_exit(EXIT_NO_FILE);
}

static const struct sg_llvm *open_llvm(const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	sg_llvm_open_function *open =
	    library ? (sg_llvm_open_function *)dlsym(library, "sg_llvm_open") : NULL;
	const struct sg_llvm *llvm =
	    open ? open(SG_LLVM_VERSION, file->message, sizeof(file->message)) : NULL;

	if (!llvm && library)
		answer(APART_NOT_STARTED);
	if (!llvm)
		fail(APART_NOT_STARTED, dlerror());
	return llvm;
}

static void leave_object(const char *object, size_t size)
{
	off_t at = (off_t)(sizeof(*file) + file->ir_size + 1);

	if (fd_write_all(APART_FD, object, size, at) < 0)
		_exit(EXIT_NO_ROOM);
	file->object_size = size;
}

int main(int argc, char **argv)
{
	const struct sg_llvm *llvm;
	size_t size = 0;
	void *object;

	if (argc != 2)
		return EXIT_NO_FILE;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd_close_from(APART_FD + 1, -1);
	map_file();
	go_first();
	limit_time(file->seconds);
	llvm = open_llvm(argv[1]);
	object = llvm->compile((const char *)(file + 1), file->ir_size, file->is_quick, &size,
	    file->message, sizeof(file->message));
	if (!object)
		answer(APART_REFUSED);
	leave_object(object, size);
	answer(APART_DONE);
}
