/*
 * The translator is part of the key, by the build ID of the library or program it is linked into,
 * which nobody can forget to change. Where the linker leaves none, nothing is kept, and kernels are
 * translated each time; their code is found by its IR all the same.
 */
#include "softgpu/jit/known.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "softgpu/jit/build-id.h"
#include "softgpu/jit/cache.h"

struct digest jit_known_key(
    const uint8_t *translator, size_t translator_size, const struct digest *source)
{
	struct {
		char subject[16];
		uint8_t translator[BUILD_ID_MOST];
		struct digest source;
	} question = {.subject = "translation", .source = *source};

	memcpy(question.translator, translator, MIN(translator_size, BUILD_ID_MOST));
	return digest_of(&question, sizeof(question));
}

static bool find_key(const struct digest *source, struct digest *key)
{
	uint8_t translator[BUILD_ID_MOST];
	size_t size = build_id_of((const void *)jit_known_key, translator);

	*key = jit_known_key(translator, size, source);
	return size > 0;
}

bool jit_recall(const struct digest *source, struct jit_known *known)
{
	struct jit_known *found;
	struct digest key;
	size_t size = 0;

	if (!find_key(source, &key))
		return false;
	found = cache_load(&key, &size);
	if (found && size == sizeof(*found))
		*known = *found;
	else
		size = 0;
	free(found);
	return size > 0;
}

void jit_remember(const struct digest *source, const struct jit_known *known)
{
	struct digest key;

	if (find_key(source, &key))
		cache_store(&key, known, sizeof(*known));
}
