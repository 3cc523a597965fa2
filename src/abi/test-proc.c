/*
 * Lookup of functions by name, version and flags, as cuGetProcAddress has it, in a table made
 * here.
 */
#include "abi/proc.h"
#include "base/test.h"

/* Addresses stand for functions: only their identity matters. */
static char alloc_v1, alloc_v2, sync_plain, sync_ptsz, get_v1, get_v2, copy_v1, copy_v2, copy_ptds;

static const struct abi_proc rows[] = {
    {"cuGetProcAddress", "", 11030, "cuGetProcAddress", &get_v1},
    {"cuGetProcAddress", "", 12000, "cuGetProcAddress_v2", &get_v2},
    {"cuMemAlloc", "", 2000, "cuMemAlloc", &alloc_v1},
    {"cuMemAlloc", "", 3020, "cuMemAlloc_v2", &alloc_v2},
    {"cuMemcpyHtoD", "", 2000, "cuMemcpyHtoD", &copy_v1},
    {"cuMemcpyHtoD", "", 3020, "cuMemcpyHtoD_v2", &copy_v2},
    {"cuMemcpyHtoD", "_ptds", 7000, "cuMemcpyHtoD_v2_ptds", &copy_ptds},
    {"cuMissing", "", 2000, "cuMissing", NULL},
    {"cuStreamSynchronize", "", 2000, "cuStreamSynchronize", &sync_plain},
    {"cuStreamSynchronize", "_ptsz", 7000, "cuStreamSynchronize_ptsz", &sync_ptsz},
};
static const struct abi_proc_table table = {rows, ARRAY_SIZE(rows), 13000};

static void check_found(const char *symbol, int version, uint64_t flags, const void *wanted)
{
	CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
	void *address = NULL;

	CHECK_EQ(abi_proc_find_v2(&table, symbol, version, flags, &status, &address), CUDA_SUCCESS);
	CHECK(address == wanted);
	CHECK_EQ(status, CU_GET_PROC_ADDRESS_SUCCESS);
	address = NULL;
	CHECK_EQ(abi_proc_find_v1(&table, symbol, version, flags, &address), CUDA_SUCCESS);
	CHECK(address == wanted);
}

TEST(newest_variant_not_above_the_version)
{
	check_found("cuMemAlloc", 2000, 0, &alloc_v1);
	check_found("cuMemAlloc", 3019, 0, &alloc_v1);
	check_found("cuMemAlloc", 3020, 0, &alloc_v2);
	check_found("cuMemAlloc", 13000, 0, &alloc_v2);
	check_found("cuGetProcAddress", 11030, 0, &get_v1);
	check_found("cuGetProcAddress", 12000, 0, &get_v2);
}

TEST(per_thread_default_stream)
{
	check_found("cuStreamSynchronize", 7000, 0, &sync_plain);
	check_found("cuStreamSynchronize", 7000, 1, &sync_plain);
	check_found("cuStreamSynchronize", 7000, 2, &sync_ptsz);
	check_found("cuStreamSynchronize", 7000, 3, &sync_ptsz);
	check_found("cuMemcpyHtoD", 7000, 2, &copy_ptds);
	check_found("cuMemAlloc", 7000, 2, &alloc_v2);
}

static void check_missing(
    const char *symbol, int version, uint64_t flags, CUdriverProcAddressQueryResult wanted)
{
	CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SUCCESS;
	void *address = &address;

	CHECK_EQ(abi_proc_find_v2(&table, symbol, version, flags, &status, &address), CUDA_SUCCESS);
	CHECK(!address);
	CHECK_EQ(status, wanted);
	CHECK_EQ(abi_proc_find_v2(&table, symbol, version, flags, NULL, &address), CUDA_SUCCESS);
	address = &address;
	CHECK_EQ(abi_proc_find_v1(&table, symbol, version, flags, &address), CUDA_ERROR_NOT_FOUND);
	CHECK(address == &address);
}

TEST(missing)
{
	check_missing("cuNothing", 13000, 0, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	check_missing("cuMissing", 13000, 0, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	check_missing("", 0, 0, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	check_missing("zzz", 13000, 0, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	check_missing("cuMemAlloc", 1000, 0, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
	check_missing("cuStreamSynchronize", 6000, 2, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
}

TEST(bad_arguments)
{
	void *address = NULL;

	CHECK_EQ(abi_proc_find_v2(&table, NULL, 0, 0, NULL, &address), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(
	    abi_proc_find_v2(&table, "cuMemAlloc", 0, 0, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(abi_proc_find_v2(&table, "cuMemAlloc", 13010, 0, NULL, &address),
	    CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(abi_proc_find_v2(&table, "cuMemAlloc", 12000, 4, NULL, &address),
	    CUDA_ERROR_INVALID_VALUE);
}
