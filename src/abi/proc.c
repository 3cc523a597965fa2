/*
 * The search behind both forms of cuGetProcAddress. Runs in whatever thread asks, over constant
 * data.
 *
 * A base name has rows of up to three variants. Flag PER_THREAD_DEFAULT_STREAM prefers the variant
 * that uses the thread's own default stream ("_ptsz", or "_ptds" for calls that have no stream
 * argument) and takes the plain rows only for functions that have no such variant: giving a plain
 * function there would silently change what stream 0 means. Within a variant the newest version not
 * above the asked one wins.
 */
#include "abi/proc.h"

#include <stdbool.h>
#include <string.h>

#define PROC_FLAGS                                                                                 \
	((uint64_t)(CU_GET_PROC_ADDRESS_LEGACY_STREAM |                                            \
		    CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM))

enum proc_result { PROC_FOUND, PROC_UNKNOWN, PROC_TOO_OLD };

static size_t proc_first(const struct abi_proc_table *table, const char *base)
{
	size_t low = 0, high = table->n_rows;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(table->rows[middle].base, base) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static enum proc_result proc_search(const struct abi_proc_table *table, const char *base,
    int version, bool per_thread, void **address)
{
	const struct abi_proc *plain = NULL, *variant = NULL;
	bool known = false, has_variant = false;

	for (size_t i = proc_first(table, base); i < table->n_rows; i++) {
		const struct abi_proc *row = &table->rows[i];
		if (strcmp(row->base, base))
			break;
		if (!row->address)
			continue;
		known = true;
		has_variant |= row->variant[0];
		if (row->version <= version)
			*(row->variant[0] ? &variant : &plain) = row;
	}
	if (!known)
		return PROC_UNKNOWN;

	const struct abi_proc *found = per_thread && has_variant ? variant : plain;
	if (!found)
		return PROC_TOO_OLD;
	*address = found->address;
	return PROC_FOUND;
}

static CUresult proc_check(const struct abi_proc_table *table, const char *symbol, int version,
    uint64_t flags, void **address)
{
	if (!symbol || !address)
		return CUDA_ERROR_INVALID_VALUE;
	if (flags & ~PROC_FLAGS)
		return CUDA_ERROR_INVALID_VALUE;
	if (version > table->driver_version)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

CUresult abi_proc_find_v2(const struct abi_proc_table *table, const char *symbol, int version,
    uint64_t flags, CUdriverProcAddressQueryResult *status, void **address)
{
	static const CUdriverProcAddressQueryResult statuses[] = {
	    [PROC_FOUND] = CU_GET_PROC_ADDRESS_SUCCESS,
	    [PROC_UNKNOWN] = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND,
	    [PROC_TOO_OLD] = CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT,
	};
	CUresult checked = proc_check(table, symbol, version, flags, address);

	if (checked != CUDA_SUCCESS)
		return checked;
	*address = NULL;
	enum proc_result result = proc_search(
	    table, symbol, version, flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, address);
	if (status)
		*status = statuses[result];
	return CUDA_SUCCESS;
}

CUresult abi_proc_find_v1(const struct abi_proc_table *table, const char *symbol, int version,
    uint64_t flags, void **address)
{
	CUresult checked = proc_check(table, symbol, version, flags, address);

	if (checked != CUDA_SUCCESS)
		return checked;
	if (proc_search(table, symbol, version,
		flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, address) != PROC_FOUND)
		return CUDA_ERROR_NOT_FOUND;
	return CUDA_SUCCESS;
}
