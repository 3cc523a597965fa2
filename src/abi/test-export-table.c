/*
 * The private tables of cuGetExportTable, with a driver behind them that only notes what it is
 * asked.
 */
#include <pthread.h>
#include <unistd.h>

#include "abi/context_storage.h"
#include "abi/export_table.h"
#include "base/test.h"

#define CONTEXT ((CUcontext)0x100)

static CUresult fake_primary(CUdevice device, CUcontext *context)
{
	*context = (CUcontext)(uintptr_t)(0x100 * (device + 1));
	return CUDA_SUCCESS;
}

static CUcontext fake_current(void)
{
	return CONTEXT;
}

static CUresult fake_context_id(CUcontext context, uint64_t *id)
{
	*id = (uint64_t)context;
	return CUDA_SUCCESS;
}

static CUresult fake_resolve(CUcontext context, CUstream stream, bool per_thread, void **object)
{
	*object = (void *)((uintptr_t)stream + (per_thread ? 2 : 1));
	return CUDA_SUCCESS;
}

static CUresult fake_stream_id(CUcontext context, void *object, uint64_t *id)
{
	*id = (uint64_t)object + 1000;
	return CUDA_SUCCESS;
}

static CUresult fake_functions(CUmodule module, CUfunction *functions, size_t capacity, size_t *n)
{
	for (size_t i = 0; i < capacity && i < 2; i++)
		functions[i] = (CUfunction)(0x10 + i);
	*n = 2;
	return CUDA_SUCCESS;
}

static size_t fake_devices(struct abi_integrity_device *devices, size_t capacity)
{
	devices[0] = (struct abi_integrity_device){.uuid = {1, 2, 3}, .pci_bus = 4};
	return 1;
}

static const struct abi_table_ops ops = {
    .driver_version = 13000,
    .primary_context = fake_primary,
    .current_context = fake_current,
    .context_id = fake_context_id,
    .stream_resolve = fake_resolve,
    .stream_id = fake_stream_id,
    .module_functions = fake_functions,
    .devices = fake_devices,
};

static const void *const *table_of(const char *bytes)
{
	const void *table = NULL;
	CUuuid id;

	memcpy(&id, bytes, sizeof(id));
	abi_export_init(&ops);
	CHECK_EQ(abi_export_table(&table, &id), CUDA_SUCCESS);
	return table;
}

#define RUNTIME	  "\x6b\xd5\xfb\x6c\x5b\xf4\xe7\x4a\x89\x87\xd9\x39\x12\xfd\x9d\xf9"
#define HOOKS	  "\xa0\x94\x79\x8c\x2e\x74\x2e\x74\x93\xf2\x08\x00\x20\x0c\x0a\x66"
#define STORAGE	  "\xc6\x93\x33\x6e\x11\x21\xdf\x11\xa8\xc3\x68\xf3\x55\xd8\x95\x93"
#define CHECKS	  "\x26\x3e\x88\x60\x7c\xd2\x61\x43\x92\xf6\xbb\xd5\x00\x6d\xfa\x7e"
#define INTEGRITY "\xd4\x08\x20\x55\xbd\xe6\x70\x4b\x8d\x34\xba\x12\x3c\x66\xe1\xf2"
#define IDS	  "\x21\x31\x8c\x60\x97\x14\x32\x48\x8c\xa6\x41\xff\x73\x24\xc8\xf2"
#define FUNCTIONS "\x6e\x16\x3f\xbe\xb9\x58\x44\x4d\x83\x5c\xe1\x82\xaf\xf1\x99\x1e"
#define HEURISTIC "\x17\x34\xdc\x26\x80\x0d\x47\x45\x87\x26\xc0\xf1\xe7\xdd\x8b\xca"
#define CACHE	  "\xda\x91\x51\xd3\x3a\xe6\xcc\x41\xa5\xc0\x4f\x26\xd5\x33\xe3\x28"

TEST(no_slot_is_null)
{
	static const char *const sized[] = {
	    RUNTIME, HOOKS, CHECKS, INTEGRITY, IDS, FUNCTIONS, HEURISTIC};

	for (size_t i = 0; i < ARRAY_SIZE(sized); i++) {
		const void *const *table = table_of(sized[i]);
		size_t n = (size_t)table[0] / sizeof(void *);
		CHECK(n >= 3 && n <= 64);
		for (size_t slot = 1; slot < n; slot++)
			CHECK(table[slot]);
		CHECK(table_of(sized[i]) == table);
	}
}

TEST(unknown_slots_are_not_supported)
{
	CUresult (*slot)(void) = (CUresult(*)(void))table_of(HEURISTIC)[4];

	CHECK_EQ(slot(), CUDA_ERROR_NOT_SUPPORTED);
	slot = (CUresult(*)(void))table_of(IDS)[63];
	CHECK_EQ(slot(), CUDA_ERROR_NOT_SUPPORTED);
	/* Without launch in ops the old launch slot cannot work either. */
	slot = (CUresult(*)(void))table_of(RUNTIME)[9];
	CHECK_EQ(slot(), CUDA_ERROR_NOT_SUPPORTED);
}

/* CUPTI takes its own functions for those that a table has no room for. */
TEST(tools_find_no_replacements)
{
	const CUuuid id = {{0x7c, 0xb6, 0x3f, 0x9b, 0x9c, 0xa4, 0x8e, 0x42, 0xa4, 0x84, 0xbe, 0xb6,
	    0x6e, 0x6a, 0xed, 0x7f}};
	const void *table;

	abi_export_init(&ops);
	CHECK_EQ(abi_export_table(&table, &id), CUDA_SUCCESS);
	CHECK_EQ(*(const uintptr_t *)table, sizeof(uintptr_t));
}

TEST(unknown_tables_are_refused)
{
	const void *table = &table;
	CUuuid id;

	abi_export_init(&ops);
	memcpy(&id, CACHE, sizeof(id));
	CHECK_EQ(abi_export_table(&table, &id), CUDA_ERROR_INVALID_VALUE);
	CHECK(!table);
	memset(&id, 7, sizeof(id));
	table = &table;
	CHECK_EQ(abi_export_table(&table, &id), CUDA_ERROR_INVALID_VALUE);
	CHECK(!table);
}

TEST(primary_context_and_checks)
{
	CUresult (*primary)(CUcontext *, CUdevice) =
	    (CUresult(*)(CUcontext *, CUdevice))table_of(RUNTIME)[2];
	CUresult (*wrapped)(CUcontext, uint32_t *, CUcontext *) =
	    (CUresult(*)(CUcontext, uint32_t *, CUcontext *))table_of(CHECKS)[2];
	CUcontext context = NULL, inner = (CUcontext)0x77;
	uint32_t is_wrapped = 9;

	CHECK_EQ(primary(&context, 1), CUDA_SUCCESS);
	CHECK(context == (CUcontext)0x200);
	CHECK_EQ(wrapped(context, &is_wrapped, &inner), CUDA_SUCCESS);
	CHECK_EQ(is_wrapped, 0);
	CHECK(inner == (CUcontext)0x77);
}

TEST(hooks_are_off_and_long_enough)
{
	CUresult (*flags)(uint32_t **, size_t *) =
	    (CUresult(*)(uint32_t **, size_t *))table_of(HOOKS)[2];
	uint32_t *words = NULL;
	size_t n = 0;

	CHECK_EQ(flags(&words, &n), CUDA_SUCCESS);
	CHECK(n > 0x20a);
	for (size_t i = 0; i < n; i++)
		CHECK_EQ(words[i], 0);
	flags = (CUresult(*)(uint32_t **, size_t *))table_of(HOOKS)[6];
	CHECK_EQ(flags(&words, &n), CUDA_SUCCESS);
	CHECK(n > 13);
}

TEST(integrity_answers_for_this_process)
{
	CUresult (*check)(uint32_t, uint64_t, uint64_t *) =
	    (CUresult(*)(uint32_t, uint64_t, uint64_t *))table_of(INTEGRITY)[1];
	struct abi_integrity_device device;
	uint64_t answer[2], wanted[2];

	fake_devices(&device, 1);
	CHECK_EQ(check(13002, 1234, answer), CUDA_SUCCESS);
	abi_integrity_answer(
	    &(struct abi_integrity_question){
		.driver_version = 13000,
		.version = 13002,
		.process = (uint32_t)getpid(),
		.thread = (uint32_t)pthread_self(),
		.runtime_table = (uint64_t)table_of(RUNTIME),
		.integrity_table = (uint64_t)table_of(INTEGRITY),
		.integrity_function = (uint64_t)table_of(INTEGRITY)[1],
		.seconds = 1234,
		.devices = &device,
		.n_devices = 1,
	    },
	    wanted);
	CHECK_BYTES(answer, wanted, sizeof(answer));
}

static unsigned n_functions;

static void count_function(void *user, CUfunction function, uint64_t owner)
{
	CHECK(user == &n_functions && owner == 0x40);
	CHECK(function == (CUfunction)(uintptr_t)(0x10 + n_functions++));
}

TEST(functions_are_enumerated)
{
	uint64_t (*enumerate)(CUcontext, CUmodule, void (*)(void *, CUfunction, uint64_t), void *) =
	    (uint64_t (*)(CUcontext, CUmodule, void (*)(void *, CUfunction, uint64_t),
		void *))table_of(FUNCTIONS)[7];

	CHECK_EQ(enumerate(CONTEXT, (CUmodule)0x40, count_function, &n_functions), 2);
	CHECK_EQ(n_functions, 2);
}

static int n_destroyed;

static void destroy_value(CUcontext context, void *key, void *value)
{
	CHECK(context == CONTEXT && key == &n_destroyed && value == (void *)0x55);
	n_destroyed++;
	/* A destructor may use the storage. */
	CHECK(!abi_storage_get(context, key, &value));
}

TEST(storage_through_the_table)
{
	const void *const *table = table_of(STORAGE);
	CUresult (*put)(CUcontext, void *, void *, abi_storage_destructor *) =
	    (CUresult(*)(CUcontext, void *, void *, abi_storage_destructor *))table[0];
	CUresult (*delete)(CUcontext, void *) = (CUresult(*)(CUcontext, void *))table[1];
	CUresult (*get)(void **, CUcontext, void *) =
	    (CUresult(*)(void **, CUcontext, void *))table[2];
	void *value = NULL;

	CHECK(!table[3]);
	CHECK_EQ(get(&value, NULL, &n_destroyed), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(put(NULL, &n_destroyed, (void *)0x55, destroy_value), CUDA_SUCCESS);
	CHECK_EQ(get(&value, CONTEXT, &n_destroyed), CUDA_SUCCESS);
	CHECK(value == (void *)0x55);
	CHECK_EQ(get(&value, (CUcontext)-1, &n_destroyed), CUDA_SUCCESS);
	CHECK_EQ(get(&value, (CUcontext)0x200, &n_destroyed), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(delete (CONTEXT, &n_destroyed), CUDA_SUCCESS);
	CHECK_EQ(n_destroyed, 0);
	CHECK_EQ(get(&value, CONTEXT, &n_destroyed), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(delete (CONTEXT, &n_destroyed), CUDA_ERROR_INVALID_HANDLE);

	CHECK_EQ(put(NULL, &n_destroyed, (void *)0x55, destroy_value), CUDA_SUCCESS);
	abi_storage_drop((CUcontext)0x200);
	CHECK_EQ(n_destroyed, 0);
	abi_storage_drop(CONTEXT);
	CHECK_EQ(n_destroyed, 1);
	abi_storage_drop(CONTEXT);
	CHECK_EQ(n_destroyed, 1);
}

static void *storage_churn(void *argument)
{
	for (uintptr_t i = 1; i < 20000; i++) {
		CUcontext context = (CUcontext)(i % 97 + 1);
		void *value = NULL;
		CHECK(abi_storage_put(context, argument, (void *)i, NULL));
		CHECK(abi_storage_get(context, argument, &value));
		CHECK(value == (void *)i);
		CHECK(abi_storage_delete(context, argument));
	}
	return NULL;
}

TEST(storage_of_several_threads)
{
	pthread_t threads[4];
	char keys[4];

	for (int i = 0; i < 4; i++)
		CHECK(!pthread_create(&threads[i], NULL, storage_churn, &keys[i]));
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_join(threads[i], NULL));
}
