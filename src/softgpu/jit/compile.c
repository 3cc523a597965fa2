/*
 * From IR to code that runs. One lock around all of it: compiles are rare, and a second kernel of
 * the same process can wait.
 *
 * A kernel's code is known by a digest of its IR and of who the compiler is: the IR has everything
 * else in it, from the functions called to the addresses of variables. The same code is loaded once
 * however many modules bring it, comes from the cache when it was compiled before, and is compiled
 * otherwise.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/jit/cache.h"
#include "softgpu/jit/compiler.h"
#include "softgpu/jit/jit.h"
#include "softgpu/jit/load.h"

struct jit_code {
	struct loaded loaded;
	struct digest key;
	unsigned references;
	struct jit_code *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct jit_code *codes; /* all that are loaded */

static struct digest key_of(const struct digest *compiler, const struct digest *ir)
{
	const struct digest both[2] = {*compiler, *ir};

	return digest_of(both, sizeof(both));
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

static struct jit_code *load(const struct digest *key, const void *object, size_t size,
    const struct jit_machine *machine, char *message, size_t message_size)
{
	struct jit_code *code = calloc(1, sizeof(*code));

	if (!code || !object_load(object, size, JIT_ENTRY_NAME, machine, message, message_size,
			 &code->loaded)) {
		free(code);
		return NULL;
	}
	code->key = *key;
	code->references = 1;
	code->next = codes;
	codes = code;
	return code;
}

/* What cannot be loaded is as good as none. */
static struct jit_code *find(const struct digest *key, const struct jit_machine *machine)
{
	struct jit_code *code = find_loaded(key);
	char message[256];
	size_t size;
	void *object;

	if (code)
		return code;
	object = cache_load(key, &size);
	if (object)
		code = load(key, object, size, machine, message, sizeof(message));
	free(object);
	return code;
}

static int compile(const struct jit_ir *ir, const struct jit_machine *machine, char *message,
    size_t message_size, struct jit_code **out)
{
	struct digest compiler, key;
	void *object = NULL;
	size_t size;

	if (!compiler_compile(ir->text, ir->size, &object, &size, message, message_size) ||
	    !compiler_identity(&compiler, message, message_size))
		return JIT_NO_COMPILER;
	if (!object)
		return JIT_REJECTED;
	key = key_of(&compiler, &ir->digest);
	*out = load(&key, object, size, machine, message, message_size);
	if (*out)
		cache_store(&key, object, size);
	free(object);
	return *out ? 0 : JIT_REJECTED;
}

static struct jit_code *find_of(const struct digest *ir, const struct jit_machine *machine)
{
	struct digest compiler, key;
	char message[512];

	if (!compiler_identity(&compiler, message, sizeof(message)))
		return NULL;
	key = key_of(&compiler, ir);
	return find(&key, machine);
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
		r = compile(ir, machine, message, message_size, out);
	pthread_mutex_unlock(&lock);
	return r;
}

void *jit_code_entry(const struct jit_code *code)
{
	return code->loaded.entry;
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
