/*
 * libFuzzer's door to the record decoder: four bytes choose the function, the rest is the payload.
 * Ids are taken modulo the table, so that no input is wasted on functions that do not exist.
 */
#include <string.h>

#include "api/codec-fuzz.h"

#define FUZZ_POOL (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pool pool;
	uint32_t choice;

	if (size < sizeof(choice))
		return 0;
	memcpy(&choice, data, sizeof(choice));
	size -= sizeof(choice);
	/* A record of exactly its size, aligned as in the worker: a read beyond it is seen. */
	uint8_t *payload = malloc(size + !size);
	memcpy(payload, data + sizeof(choice), size);
	pool_init(&pool, FUZZ_POOL);
	codec_fuzz_entries[choice % codec_n_fuzz_entries].run(payload, size, &pool);
	pool_fini(&pool);
	free(payload);
	return 0;
}
