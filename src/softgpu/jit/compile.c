/*
 * Finding softgpu-llvm.so and passing work to it. It is loaded at the first compile, for it maps a
 * hundred megabytes of LLVM, and never unloaded. One lock around all of it: compiles are rare, and
 * a second kernel of the same process can wait.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/jit/jit.h"
#include "softgpu/jit/llvm.h"

#define MODULE_NAME "softgpu-llvm.so"

struct jit_code {
	void *handle, *entry;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct sg_llvm *llvm;
static char load_failure[400]; /* what to say again when a second kernel asks */

static const char *llvm_library_hint(void)
{
	return "the software GPU compiles kernels with LLVM: install Debian's llvm-19-dev and "
	       "rebuild, or "
	       "point SOFTGPU_LLVM at " MODULE_NAME;
}

/* $SOFTGPU_LLVM, or beside the library (or program) this code is in. */
static void module_path(char *path, size_t size)
{
	const char *override = getenv("SOFTGPU_LLVM"), *slash = NULL;
	Dl_info self;

	if (override && *override) {
		snprintf(path, size, "%s", override);
		return;
	}
	if (dladdr((void *)module_path, &self) && self.dli_fname)
		slash = strrchr(self.dli_fname, '/');
	snprintf(path, size, "%.*s%s", slash ? (int)(slash - self.dli_fname + 1) : 0,
	    slash ? self.dli_fname : "", MODULE_NAME);
}

static void load_module(const struct jit_symbol *symbols, size_t n_symbols)
{
	char path[4096], reason[256] = "";
	sg_llvm_open_function *open;
	void *library;

	module_path(path, sizeof(path));
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!library) {
		snprintf(
		    load_failure, sizeof(load_failure), "%s (%s)", llvm_library_hint(), dlerror());
		return;
	}
	open = (sg_llvm_open_function *)dlsym(library, "sg_llvm_open");
	llvm = open ? open(SG_LLVM_VERSION, symbols, n_symbols, reason, sizeof(reason)) : NULL;
	if (!llvm)
		snprintf(load_failure, sizeof(load_failure), "%.200s: %s", path,
		    *reason ? reason : "not usable");
}

static int compile_locked(const char *ir, size_t size, const struct jit_symbol *symbols,
    size_t n_symbols, char *message, size_t message_size, struct jit_code *code)
{
	if (!llvm && !*load_failure)
		load_module(symbols, n_symbols);
	if (!llvm) {
		snprintf(message, message_size, "%s", load_failure);
		return JIT_NO_COMPILER;
	}
	code->handle = llvm->compile(ir, size, &code->entry, message, message_size);
	return code->handle ? 0 : JIT_REJECTED;
}

int jit_compile(const char *ir, size_t size, const struct jit_symbol *symbols, size_t n_symbols,
    char *message, size_t message_size, struct jit_code **out)
{
	struct jit_code *code = calloc(1, sizeof(*code));
	int r;

	if (!code) {
		snprintf(message, message_size, "out of memory");
		return JIT_REJECTED;
	}
	pthread_mutex_lock(&lock);
	r = compile_locked(ir, size, symbols, n_symbols, message, message_size, code);
	pthread_mutex_unlock(&lock);
	if (r) {
		free(code);
		return r;
	}
	*out = code;
	return 0;
}

void *jit_code_entry(const struct jit_code *code)
{
	return code->entry;
}

void jit_code_free(struct jit_code *code)
{
	if (!code)
		return;
	pthread_mutex_lock(&lock);
	llvm->release(code->handle);
	pthread_mutex_unlock(&lock);
	free(code);
}
