/*
 * The tables, as arrays of words: word 0 is the size in bytes (except in context-local storage,
 * which has none), the others are functions. They are filled once by abi_export_init() and never
 * change: several copies of the CUDA runtime in one process ask for them at the same time and
 * remember the addresses.
 *
 * Slots are called by closed libraries with signatures known only by observation. Slots with no
 * known caller, and those nobody must rely on, are thunks that load their number and go to
 * abi_export_unknown(), which can then say which table and slot was called.
 */
#include "abi/export_table.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/context_storage.h"
#include "base/log.h"
#include "base/util.h"

#define EXPORT_WORDS  64 /* room per table; the longest used slot is 51 */
#define EXPORT_TABLES 17
#define THUNK_SIZE    16
#define EXPORT_FLAGS_N                                                                             \
	1024 /* 32-bit enable words for the tools' callbacks; the runtime reads 523 */

enum export_index {
	EXPORT_RUNTIME,	      /* CUDART_INTERFACE */
	EXPORT_TOOLS_HOOKS,   /* TOOLS_RUNTIME_CALLBACK_HOOKS */
	EXPORT_TOOLS_TLS,     /* current context of the thread */
	EXPORT_STORAGE,	      /* context-local storage */
	EXPORT_CONTEXT_CHECK, /* is a context a wrapper of another one? */
	EXPORT_INTEGRITY,
	EXPORT_LOG,	   /* the runtime's error log */
	EXPORT_IDS,	   /* numbers of contexts and streams, for the math libraries */
	EXPORT_FUNCTIONS,  /* functions of a module, for cuFFT */
	EXPORT_HEURISTICS, /* cuBLASLt uses the table without checking that it got one */
};

static uintptr_t export_words[EXPORT_TABLES][EXPORT_WORDS];
static const struct abi_table_ops *export_ops;

/* ---- slots nobody understands ---- */

/*
 * One thunk per table and slot: endbr64; movl $number, %edi; jmp abi_export_unknown. 14 bytes,
 * padded to THUNK_SIZE, so that the address of a thunk is computed from its number.
 */
CUresult abi_export_unknown(unsigned number);
extern const uint8_t abi_export_thunks[];
__asm__(".text\n"
	".p2align 4\n"
	".globl abi_export_thunks\n"
	".hidden abi_export_thunks\n"
	".type abi_export_thunks, @function\n"
	"abi_export_thunks:\n"
	".set abi_thunk_number, 0\n"
	".rept 17 * 64\n"
	"endbr64\n"
	"movl $abi_thunk_number, %edi\n"
	"jmp abi_export_unknown\n"
	".p2align 4\n"
	".set abi_thunk_number, abi_thunk_number + 1\n"
	".endr\n"
	".size abi_export_thunks, . - abi_export_thunks\n");

static const char *const export_names[EXPORT_TABLES] = {
    [EXPORT_RUNTIME] = "runtime interface",
    [EXPORT_TOOLS_HOOKS] = "tools' callback hooks",
    [EXPORT_TOOLS_TLS] = "tools' thread storage",
    [EXPORT_STORAGE] = "context-local storage",
    [EXPORT_CONTEXT_CHECK] = "context checks",
    [EXPORT_INTEGRITY] = "integrity",
    [EXPORT_LOG] = "log",
    [EXPORT_IDS] = "context and stream ids",
    [EXPORT_FUNCTIONS] = "module functions",
    [EXPORT_HEURISTICS] = "heuristics",
};

CUresult abi_export_unknown(unsigned number)
{
	static atomic_flag seen[EXPORT_TABLES * EXPORT_WORDS];

	/* Relaxed: only decides who writes the line. */
	if (!atomic_flag_test_and_set_explicit(&seen[number], memory_order_relaxed))
		log_info("private table \"%s\": slot %u is not supported",
		    export_names[number / EXPORT_WORDS], number % EXPORT_WORDS);
	return CUDA_ERROR_NOT_SUPPORTED;
}

/* ---- runtime interface ---- */

static CUresult runtime_load(CUmodule *module, const void *image)
{
	if (!export_ops->module_load)
		return CUDA_ERROR_NOT_SUPPORTED;
	return export_ops->module_load(module, image);
}

/* Asked once per device at the runtime's start, before anything has been retained. */
static CUresult runtime_primary_context(CUcontext *context, CUdevice device)
{
	if (!context)
		return CUDA_ERROR_INVALID_VALUE;
	return export_ops->primary_context(device, context);
}

/* n pairs of host variables would have to be bound to the module: nothing current asks for it. */
static CUresult runtime_load_wrapper(
    CUmodule *module, const void *wrapper, void *a, void *b, unsigned n)
{
	return n ? CUDA_ERROR_NOT_SUPPORTED : runtime_load(module, wrapper);
}

static CUresult runtime_load_fatbin(
    const void *fatbin, CUmodule *module, void *a, void *b, unsigned n)
{
	return n ? CUDA_ERROR_NOT_SUPPORTED : runtime_load(module, fatbin);
}

/* Companion of cuModuleUnload, with nothing to undo on our side. */
static void runtime_unloaded(CUmodule module)
{
}

static CUresult runtime_launch(CUfunction function, unsigned grid_x, unsigned grid_y,
    unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
    CUstream stream, void **extra)
{
	const unsigned grid[3] = {grid_x, grid_y, grid_z}, block[3] = {block_x, block_y, block_z};

	if (!export_ops->launch)
		return CUDA_ERROR_NOT_SUPPORTED;
	return export_ops->launch(function, grid, block, shared_bytes, stream, extra);
}

/* "Load the compilers": ours need no loading. */
static CUresult runtime_load_compilers(void)
{
	return CUDA_SUCCESS;
}

/* ---- tools ---- */

/* The runtime looks its callback number up in these words before it calls out to a profiler. */
static CUresult hooks_callback_flags(uint32_t **flags, size_t *n)
{
	static uint32_t none[EXPORT_FLAGS_N];

	*flags = none;
	*n = EXPORT_FLAGS_N;
	return CUDA_SUCCESS;
}

static CUresult hooks_resource_flags(uint32_t **flags, size_t *n)
{
	static uint32_t none[16];

	*flags = none;
	*n = ARRAY_SIZE(none);
	return CUDA_SUCCESS;
}

static CUresult tls_current_context(CUcontext *context)
{
	*context = export_ops->current_context();
	return CUDA_SUCCESS;
}

/* ---- context-local storage ---- */

static CUcontext storage_context(CUcontext context)
{
	if (context && context != (CUcontext)-1)
		return context;
	return export_ops->current_context();
}

static CUresult storage_put(
    CUcontext context, void *key, void *value, abi_storage_destructor *destructor)
{
	context = storage_context(context);
	if (!context)
		return CUDA_ERROR_INVALID_CONTEXT;
	return abi_storage_put(context, key, value, destructor) ? CUDA_SUCCESS
								: CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult storage_delete(CUcontext context, void *key)
{
	context = storage_context(context);
	if (!context)
		return CUDA_ERROR_INVALID_CONTEXT;
	return abi_storage_delete(context, key) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult storage_get(void **value, CUcontext context, void *key)
{
	context = storage_context(context);
	if (!context)
		return CUDA_ERROR_INVALID_CONTEXT;
	return abi_storage_get(context, key, value) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* ---- context checks ---- */

/* inner is written only for a wrapper; cuBLAS relies on finding its own value there otherwise. */
static CUresult check_wrapper(CUcontext context, uint32_t *is_wrapper, CUcontext *inner)
{
	*is_wrapper = 0;
	return CUDA_SUCCESS;
}

/* Not 1: that would make the runtime distrust the handle of runtime_primary_context(). */
static uint32_t check_mode(void)
{
	return 0;
}

/* ---- integrity ---- */

static CUresult integrity_check(uint32_t version, uint64_t seconds, uint64_t answer[2])
{
	struct abi_integrity_device devices[ABI_INTEGRITY_DEVICES_MAX];
	struct abi_integrity_question question = {
	    .driver_version = (uint32_t)export_ops->driver_version,
	    .version = version,
	    .process = (uint32_t)getpid(),
	    .thread = (uint32_t)pthread_self(),
	    .runtime_table = (uint64_t)export_words[EXPORT_RUNTIME],
	    .integrity_table = (uint64_t)export_words[EXPORT_INTEGRITY],
	    .integrity_function = export_words[EXPORT_INTEGRITY][1],
	    .seconds = seconds,
	    .devices = devices,
	};
	size_t n = export_ops->devices(devices, ARRAY_SIZE(devices));

	question.n_devices = MIN(n, ARRAY_SIZE(devices));
	abi_integrity_answer(&question, answer);
	return CUDA_SUCCESS;
}

/* ---- log ---- */

/* The runtime's own explanation of an error it is about to return. */
static CUresult log_sink(const char *component, int level, const char *format, va_list *arguments)
{
	char text[512];

	if (!log_enabled(LOG_DEBUG) || !format)
		return CUDA_SUCCESS;
	vsnprintf(text, sizeof(text), format, *arguments);
	log_debug("%s says: %s", component ?: "a library", text);
	return CUDA_SUCCESS;
}

/* ---- ids ---- */

static CUresult ids_context(CUcontext context, uint64_t *id)
{
	return export_ops->context_id(context, id);
}

static CUresult ids_stream(CUcontext context, void *object, uint64_t *id)
{
	return export_ops->stream_id(context, object, id);
}

static CUresult ids_resolve(CUcontext context, CUstream stream, void **object, uint32_t per_thread)
{
	return export_ops->stream_resolve(context, stream, per_thread, object);
}

/* ---- module functions ---- */

typedef void functions_callback(void *user, CUfunction function, uint64_t owner);

/* Returns how many functions the module has; cuFFT wants exactly one in each of its modules. */
static uint64_t functions_enumerate(
    CUcontext context, CUmodule module, functions_callback *callback, void *user)
{
	size_t n = 0, room;

	if (!export_ops->module_functions ||
	    export_ops->module_functions(module, NULL, 0, &n) != CUDA_SUCCESS || !n)
		return 0;
	room = n;
	CUfunction *functions = calloc(room, sizeof(*functions));
	if (!functions || export_ops->module_functions(module, functions, room, &n) != CUDA_SUCCESS)
		n = 0;
	n = MIN(n, room);
	for (size_t i = 0; i < n && callback; i++)
		callback(user, functions[i], (uint64_t)module);
	free(functions);
	return n;
}

/* ---- the tables ---- */

struct export_slot {
	enum export_index table;
	unsigned slot;
	uintptr_t function;
};

/* Filled at run time only because a cast of a function's address to an integer is no constant. */
static void export_fill_slots(void)
{
	const struct export_slot slots[] = {
	    {EXPORT_RUNTIME, 1, (uintptr_t)runtime_load},
	    {EXPORT_RUNTIME, 2, (uintptr_t)runtime_primary_context},
	    {EXPORT_RUNTIME, 6, (uintptr_t)runtime_load_wrapper},
	    {EXPORT_RUNTIME, 7, (uintptr_t)runtime_unloaded},
	    {EXPORT_RUNTIME, 8, (uintptr_t)runtime_load_fatbin},
	    {EXPORT_RUNTIME, 9, (uintptr_t)runtime_launch},
	    {EXPORT_RUNTIME, 12, (uintptr_t)runtime_load_compilers},
	    {EXPORT_TOOLS_HOOKS, 2, (uintptr_t)hooks_callback_flags},
	    {EXPORT_TOOLS_HOOKS, 6, (uintptr_t)hooks_resource_flags},
	    {EXPORT_TOOLS_TLS, 2, (uintptr_t)tls_current_context},
	    {EXPORT_STORAGE, 0, (uintptr_t)storage_put},
	    {EXPORT_STORAGE, 1, (uintptr_t)storage_delete},
	    {EXPORT_STORAGE, 2, (uintptr_t)storage_get},
	    {EXPORT_CONTEXT_CHECK, 2, (uintptr_t)check_wrapper},
	    {EXPORT_CONTEXT_CHECK, 3, (uintptr_t)check_mode},
	    {EXPORT_INTEGRITY, 1, (uintptr_t)integrity_check},
	    {EXPORT_LOG, 1, (uintptr_t)log_sink},
	    {EXPORT_IDS, 4, (uintptr_t)ids_context},
	    {EXPORT_IDS, 39, (uintptr_t)ids_stream},
	    {EXPORT_IDS, 51, (uintptr_t)ids_resolve},
	    {EXPORT_FUNCTIONS, 7, (uintptr_t)functions_enumerate},
	};

	for (size_t i = 0; i < ARRAY_SIZE(slots); i++)
		export_words[slots[i].table][slots[i].slot] = slots[i].function;
}

/* n_words includes the size word. The tables we answer NO for have none: libraries that ask for
 * them do without, and one that got an answer without the work behind it would break. */
static const struct export_table {
	uint8_t id[16];
	unsigned n_words;
} export_tables[EXPORT_TABLES] = {
    [EXPORT_RUNTIME] = {{0x6b, 0xd5, 0xfb, 0x6c, 0x5b, 0xf4, 0xe7, 0x4a, 0x89, 0x87, 0xd9, 0x39,
			    0x12, 0xfd, 0x9d, 0xf9},
	13},
    [EXPORT_TOOLS_HOOKS] = {{0xa0, 0x94, 0x79, 0x8c, 0x2e, 0x74, 0x2e, 0x74, 0x93, 0xf2, 0x08, 0x00,
				0x20, 0x0c, 0x0a, 0x66},
	7},
    [EXPORT_TOOLS_TLS] = {{0x42, 0xd8, 0x5a, 0x81, 0x23, 0xf6, 0xcb, 0x47, 0x82, 0x98, 0xf6, 0xe7,
			      0x8a, 0x3a, 0xec, 0xdc},
	4},
    [EXPORT_STORAGE] = {{0xc6, 0x93, 0x33, 0x6e, 0x11, 0x21, 0xdf, 0x11, 0xa8, 0xc3, 0x68, 0xf3,
			    0x55, 0xd8, 0x95, 0x93},
	4},
    [EXPORT_CONTEXT_CHECK] = {{0x26, 0x3e, 0x88, 0x60, 0x7c, 0xd2, 0x61, 0x43, 0x92, 0xf6, 0xbb,
				  0xd5, 0x00, 0x6d, 0xfa, 0x7e},
	17},
    [EXPORT_INTEGRITY] = {{0xd4, 0x08, 0x20, 0x55, 0xbd, 0xe6, 0x70, 0x4b, 0x8d, 0x34, 0xba, 0x12,
			      0x3c, 0x66, 0xe1, 0xf2},
	3},
    [EXPORT_LOG] = {{0xf8, 0xcf, 0xf9, 0x51, 0x21, 0x46, 0x8b, 0x4e, 0xb9, 0xe2, 0xfb, 0x46, 0x9e,
			0x7c, 0x0d, 0xd9},
	4},
    [EXPORT_IDS] = {{0x21, 0x31, 0x8c, 0x60, 0x97, 0x14, 0x32, 0x48, 0x8c, 0xa6, 0x41, 0xff, 0x73,
			0x24, 0xc8, 0xf2},
	64},
    [EXPORT_FUNCTIONS] = {{0x6e, 0x16, 0x3f, 0xbe, 0xb9, 0x58, 0x44, 0x4d, 0x83, 0x5c, 0xe1, 0x82,
			      0xaf, 0xf1, 0x99, 0x1e},
	16},
    [EXPORT_HEURISTICS] = {{0x17, 0x34, 0xdc, 0x26, 0x80, 0x0d, 0x47, 0x45, 0x87, 0x26, 0xc0, 0xf1,
			       0xe7, 0xdd, 0x8b, 0xca},
	16},
    /* The compile cache of NVRTC and nvJitLink: refused, they simply compile. */
    {{0xda, 0x91, 0x51, 0xd3, 0x3a, 0xe6, 0xcc, 0x41, 0xa5, 0xc0, 0x4f, 0x26, 0xd5, 0x33, 0xe3,
	 0x28},
	0},
    /* Heap access, of old runtimes. */
    {{0x19, 0x5b, 0xcb, 0xf4, 0xd6, 0x7d, 0x02, 0x4a, 0xac, 0xc5, 0x1d, 0x29, 0xce, 0xa6, 0x31,
	 0xae},
	0},
    /* Extended device functions, of OptiX and the profilers. */
    {{0xb1, 0x05, 0x41, 0xe1, 0xf7, 0xc7, 0xc7, 0x4a, 0x9f, 0x64, 0xf2, 0x23, 0xbe, 0x99, 0xf1,
	 0xe2},
	0},
    /* Context creation for PhysX. */
    {{0x0c, 0xa5, 0x0b, 0x8c, 0x10, 0x04, 0x92, 0x9a, 0x89, 0xa7, 0xd0, 0xdf, 0x10, 0xe7, 0x72,
	 0x86},
	0},
    /* The hybrid runtime, of Windows. */
    {{0xdd, 0x9e, 0x98, 0xa4, 0xf4, 0x10, 0x48, 0x44, 0x99, 0xb0, 0xe2, 0xae, 0xb7, 0xb4, 0x32,
	 0xb5},
	0},
    /* What CUPTI's functions are replaced by: nothing, for which a table of no functions stands.
     * Without the table it calls itself until the stack is full. */
    {{0x7c, 0xb6, 0x3f, 0x9b, 0x9c, 0xa4, 0x8e, 0x42, 0xa4, 0x84, 0xbe, 0xb6, 0x6e, 0x6a, 0xed,
	 0x7f},
	1},
    /* DLSS. */
    {{0x7f, 0x92, 0x12, 0xd6, 0x26, 0x1d, 0xdd, 0x4d, 0x8a, 0xf6, 0x38, 0xdd, 0x1a, 0xeb, 0x10,
	 0xae},
	0},
};

void abi_export_init(const struct abi_table_ops *ops)
{
	export_ops = ops;
	for (unsigned t = 0; t < EXPORT_TABLES; t++) {
		unsigned n_words = export_tables[t].n_words;
		for (unsigned s = 0; s < n_words; s++)
			export_words[t][s] =
			    (uintptr_t)abi_export_thunks + (t * EXPORT_WORDS + s) * THUNK_SIZE;
		export_words[t][0] = n_words * sizeof(uintptr_t);
	}
	export_words[EXPORT_STORAGE][3] = 0; /* ends the one table without a size */
	export_fill_slots();
}

CUresult abi_export_table(const void **table, const CUuuid *id)
{
	if (!table || !id)
		return CUDA_ERROR_INVALID_VALUE;
	*table = NULL;
	for (unsigned t = 0; t < EXPORT_TABLES; t++) {
		if (memcmp(id, export_tables[t].id, sizeof(export_tables[t].id)))
			continue;
		if (!export_tables[t].n_words || !export_ops)
			return CUDA_ERROR_INVALID_VALUE;
		*table = export_words[t];
		return CUDA_SUCCESS;
	}
	log_debug("an unknown private table was asked for");
	return CUDA_ERROR_INVALID_VALUE;
}
