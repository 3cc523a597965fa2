/*
 * From IR to code that runs. One lock around all of it: compiles are rare, and a second kernel of
 * the same process can wait.
 *
 * A kernel's code is known by a digest of its IR and of who the compiler is: the IR has everything
 * else in it, from the functions called to the addresses of variables. The same code is loaded once
 * however many modules bring it, comes from the cache when it was compiled before, and is compiled
 * otherwise. Where LLVM takes too long, quick code takes its place; it is known by the limit as
 * well, so that another limit is another try.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/jit/cache.h"
#include "softgpu/jit/compiler.h"
#include "softgpu/jit/jit.h"
#include "softgpu/jit/llvm.h"
#include "softgpu/jit/load.h"

struct jit_code {
	struct loaded loaded;
	uint64_t stack_bytes;
	bool is_quick;
	struct digest key;
	unsigned references;
	struct jit_code *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct jit_code *codes; /* all that are loaded */

static struct digest key_of(const struct digest *compiler, const struct digest *ir, bool is_quick)
{
	const struct digest both[2] = {*compiler, *ir};
	struct {
		struct digest code;
		char subject[12];
		uint32_t limit;
	} quick = {digest_of(both, sizeof(both)), "quick", compiler_limit()};

	return is_quick ? digest_of(&quick, sizeof(quick)) : quick.code;
}

static struct jit_code *find_loaded(const struct digest *key)
{
	struct jit_code *code = codes;

	while (code && memcmp(&code->key, key, sizeof(*key)))
		code = code->next;
	if (code)
		code->references++;
	return code;
}

static struct jit_code *load(const struct digest *key, bool is_quick,
    const struct sg_llvm_object *object, size_t size, const struct jit_machine *machine,
    char *message, size_t message_size)
{
	struct jit_code *code = calloc(1, sizeof(*code));

	if (!code || size < sizeof(*object) ||
	    !object_load(object->file, size - sizeof(*object), JIT_ENTRY_NAME, machine, message,
		message_size, &code->loaded)) {
		free(code);
		return NULL;
	}
	code->stack_bytes = object->stack_bytes;
	code->is_quick = is_quick;
	code->key = *key;
	code->references = 1;
	code->next = codes;
	codes = code;
	return code;
}

/* What cannot be loaded is as good as none. */
static struct jit_code *find(
    const struct digest *key, bool is_quick, const struct jit_machine *machine)
{
	struct jit_code *code = find_loaded(key);
	char message[256];
	size_t size;
	void *object;

	if (code)
		return code;
	object = cache_load(key, &size);
	if (object)
		code = load(key, is_quick, object, size, machine, message, sizeof(message));
	free(object);
	return code;
}

static int compile(const struct jit_ir *ir, bool is_quick, const struct jit_machine *machine,
    char *message, size_t message_size, struct jit_code **out)
{
	struct digest compiler, key;
	void *object = NULL;
	size_t size;
	enum compiler_result result =
	    compiler_compile(ir->text, ir->size, is_quick, &object, &size, message, message_size);

	if (result == COMPILER_TOO_LONG)
		return JIT_TOO_LONG;
	if (result == COMPILER_REFUSED)
		return JIT_REJECTED;
	if (result == COMPILER_NONE || !compiler_identity(&compiler, message, message_size)) {
		free(object);
		return JIT_NO_COMPILER;
	}
	key = key_of(&compiler, &ir->digest, is_quick);
	*out = load(&key, is_quick, object, size, machine, message, message_size);
	if (*out)
		cache_store(&key, object, size);
	free(object);
	return *out ? 0 : JIT_REJECTED;
}

static struct jit_code *find_of(const struct digest *ir, const struct jit_machine *machine)
{
	struct jit_code *code = NULL;
	struct digest compiler;
	char message[512];

	if (!compiler_identity(&compiler, message, sizeof(message)))
		return NULL;
	for (int is_quick = 0; is_quick < 2 && !code; is_quick++) {
		struct digest key = key_of(&compiler, ir, is_quick);

		code = find(&key, is_quick, machine);
	}
	return code;
}

struct jit_code *jit_find(const struct digest *ir, const struct jit_machine *machine)
{
	struct jit_code *code;

	pthread_mutex_lock(&lock);
	code = find_of(ir, machine);
	pthread_mutex_unlock(&lock);
	return code;
}

int jit_compile(const struct jit_ir *ir, const struct jit_machine *machine, char *message,
    size_t message_size, struct jit_code **out)
{
	int r = 0;

	pthread_mutex_lock(&lock);
	*out = find_of(&ir->digest, machine);
	if (!*out)
		r = compile(ir, false, machine, message, message_size, out);
	if (r == JIT_TOO_LONG)
		r = compile(ir, true, machine, message, message_size, out);
	pthread_mutex_unlock(&lock);
	return r;
}

void *jit_code_entry(const struct jit_code *code)
{
	return code->loaded.entry;
}

bool jit_code_is_quick(const struct jit_code *code)
{
	return code->is_quick;
}

uint64_t jit_code_stack_bytes(const struct jit_code *code)
{
	return code->stack_bytes;
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
		object_unload(&code->loaded);
		free(code);
	}
	pthread_mutex_unlock(&lock);
}
