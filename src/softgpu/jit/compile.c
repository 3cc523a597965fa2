/*
 * Finding softgpu-llvm.so and passing work to it. It is loaded at the first compile, for it maps a
 * hundred megabytes of LLVM, and never unloaded. One lock around all of it: compiles are rare, and
 * a second kernel of the same process can wait.
 *
 * A kernel's code is known by a hash of its IR and of what the compiler is: the IR has everything
 * else in it, from the functions called to the addresses of variables. The same code is loaded once
 * however many modules bring it, comes from the cache when it was compiled before, and is compiled
 * otherwise.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/jit/cache.h"
#include "softgpu/jit/jit.h"
#include "softgpu/jit/llvm.h"

#define MODULE_NAME "softgpu-llvm.so"

struct jit_code {
	void *handle, *entry;
	struct cache_key key;
	unsigned references;
	struct jit_code *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct sg_llvm *llvm;
static struct jit_code *codes; /* all that are loaded */
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

/* The object from the cache, unless LLVM cannot load it. */
static bool load_cached(struct jit_code *code, const char *name, char *message, size_t size)
{
	size_t object_size;
	void *object = cache_load(&code->key, &object_size);

	if (object)
		code->handle = llvm->load(object, object_size, name, &code->entry, message, size);
	free(object);
	return code->handle != NULL;
}

static int compile_new(struct jit_code *code, const char *name, const char *ir, size_t ir_size,
    char *message, size_t size)
{
	size_t object_size;
	void *object = llvm->compile(ir, ir_size, name, &object_size, message, size);

	if (!object)
		return JIT_REJECTED;
	code->handle = llvm->load(object, object_size, name, &code->entry, message, size);
	if (code->handle)
		cache_store(&code->key, object, object_size);
	free(object);
	return code->handle ? 0 : JIT_REJECTED;
}

static struct jit_code *find_loaded(const struct cache_key *key)
{
	struct jit_code *code = codes;

	while (code && memcmp(&code->key, key, sizeof(*key)))
		code = code->next;
	return code;
}

static int compile_locked(
    const char *ir, size_t size, char *message, size_t message_size, struct jit_code **out)
{
	struct cache_key key = cache_key_of(llvm->identity, strlen(llvm->identity), ir, size);
	struct jit_code *code = find_loaded(&key);
	char name[sizeof("kernel.") + CACHE_KEY_TEXT] = "kernel.";

	if (code) {
		code->references++;
		*out = code;
		return 0;
	}
	code = calloc(1, sizeof(*code));
	if (!code) {
		snprintf(message, message_size, "out of memory");
		return JIT_REJECTED;
	}
	code->key = key;
	cache_key_write(&key, name + strlen(name));
	if (!load_cached(code, name, message, message_size) &&
	    compile_new(code, name, ir, size, message, message_size)) {
		free(code);
		return JIT_REJECTED;
	}
	code->references = 1;
	code->next = codes;
	codes = code;
	*out = code;
	return 0;
}

int jit_compile(const char *ir, size_t size, const struct jit_symbol *symbols, size_t n_symbols,
    char *message, size_t message_size, struct jit_code **out)
{
	int r = JIT_NO_COMPILER;

	pthread_mutex_lock(&lock);
	if (!llvm && !*load_failure)
		load_module(symbols, n_symbols);
	if (llvm)
		r = compile_locked(ir, size, message, message_size, out);
	else
		snprintf(message, message_size, "%s", load_failure);
	pthread_mutex_unlock(&lock);
	return r;
}

void *jit_code_entry(const struct jit_code *code)
{
	return code->entry;
}

void jit_code_free(struct jit_code *code)
{
	struct jit_code **at = &codes;

	if (!code)
		return;
	pthread_mutex_lock(&lock);
	if (--code->references == 0) {
		while (*at != code)
			at = &(*at)->next;
		*at = code->next;
		llvm->release(code->handle);
		free(code);
	}
	pthread_mutex_unlock(&lock);
}
