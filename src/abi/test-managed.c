/* Advice on managed memory: what is recorded, by page, and how a range's answer is made of its
 * pages'. */
#include "abi/managed.h"

#include "base/test.h"

#define AT   0x240000000000ull
#define SIZE (1u << 20)

static const CUmemLocation device0 = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
			   host = {CU_MEM_LOCATION_TYPE_HOST, 0},
			   node3 = {CU_MEM_LOCATION_TYPE_HOST_NUMA, 3};

static int ask(CUmem_range_attribute attribute, uint64_t offset, uint64_t size)
{
	int value = 77;

	CHECK_EQ(managed_attribute(&value, 4, attribute, AT + offset, size), CUDA_SUCCESS);
	return value;
}

TEST(managed_nothing_was_advised)
{
	CHECK(managed_add(AT, SIZE));
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, 0, SIZE), 0);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, 0, SIZE), CU_DEVICE_INVALID);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE, 0, SIZE), 0);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID, 0, SIZE), CU_DEVICE_INVALID);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, 0, SIZE), CU_DEVICE_INVALID);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, 5, 1), CU_DEVICE_INVALID);
	CHECK(managed_remove(AT));
	CHECK(!managed_remove(AT));
}

TEST(managed_a_range_is_what_all_its_pages_are)
{
	managed_add(AT, SIZE);
	CHECK_EQ(managed_advise(AT, SIZE, CU_MEM_ADVISE_SET_READ_MOSTLY, device0), 0);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, 0, SIZE), 1);
	/* One byte is a page. */
	CHECK_EQ(managed_advise(AT + 4100, 1, CU_MEM_ADVISE_UNSET_READ_MOSTLY, device0), 0);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, 0, SIZE), 0);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, 0, 4096), 1);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, 4096, 1), 0);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, 8192, SIZE - 8192), 1);
	CHECK_EQ(managed_prefetch(AT, SIZE / 2, device0), 0);
	CHECK_EQ(managed_prefetch(AT + SIZE / 2, SIZE / 2, host), 0);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, 0, SIZE), CU_DEVICE_INVALID);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, 0, SIZE / 2), 0);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, SIZE / 2, 1), CU_DEVICE_CPU);
	managed_remove(AT);
}

TEST(managed_locations)
{
	int list[3];

	managed_add(AT, SIZE);
	managed_advise(AT, SIZE, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, node3);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, 0, SIZE), CU_DEVICE_CPU);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE, 0, SIZE),
	    CU_MEM_LOCATION_TYPE_HOST_NUMA);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID, 0, SIZE), 3);
	managed_advise(AT, SIZE, CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION, host);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, 0, SIZE), CU_DEVICE_INVALID);
	managed_advise(AT, SIZE, CU_MEM_ADVISE_SET_ACCESSED_BY, managed_location(CU_DEVICE_CPU));
	managed_advise(AT, SIZE, CU_MEM_ADVISE_SET_ACCESSED_BY, managed_location(2));
	CHECK_EQ(managed_attribute(list, 12, CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, AT, SIZE), 0);
	CHECK_EQ(list[0], 2);
	CHECK_EQ(list[1], CU_DEVICE_CPU);
	CHECK_EQ(list[2], CU_DEVICE_INVALID);
	managed_advise(AT, 1, CU_MEM_ADVISE_UNSET_ACCESSED_BY, managed_location(2));
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, 0, SIZE), CU_DEVICE_CPU);
	managed_remove(AT);
}

TEST(managed_refuses)
{
	const CUmemLocation none = {0}, device9 = {CU_MEM_LOCATION_TYPE_DEVICE, 9};
	int value, two[2];

	managed_add(AT, SIZE);
	CHECK_EQ(managed_advise(AT, SIZE + 1, CU_MEM_ADVISE_SET_READ_MOSTLY, host), 1);
	CHECK_EQ(managed_advise(AT, 0, CU_MEM_ADVISE_SET_READ_MOSTLY, host), 1);
	CHECK_EQ(managed_advise(AT - 1, 2, CU_MEM_ADVISE_SET_READ_MOSTLY, host), 1);
	CHECK_EQ(managed_prefetch(AT + SIZE, 1, host), 1);
	CHECK_EQ(managed_attribute(&value, 3, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, AT, 1), 1);
	CHECK_EQ(managed_attribute(two, 8, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, AT, 1), 1);
	CHECK_EQ(managed_attribute(&value, 0, CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, AT, 1), 1);
	CHECK_EQ(managed_attribute(&value, 4, (CUmem_range_attribute)9, AT, 1), 1);
	CHECK_EQ(managed_attribute(&value, 4, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, AT, 0), 1);
	CHECK_EQ(managed_check_advice((CUmem_advise)0, host, 1), 1);
	CHECK_EQ(managed_check_advice((CUmem_advise)7, host, 1), 1);
	CHECK_EQ(managed_check_advice(CU_MEM_ADVISE_SET_READ_MOSTLY, none, 1), 1);
	CHECK_EQ(managed_check_advice(CU_MEM_ADVISE_SET_READ_MOSTLY, device9, 1), 0);
	CHECK_EQ(managed_check_advice(CU_MEM_ADVISE_SET_PREFERRED_LOCATION, device9, 1), 1);
	CHECK_EQ(managed_check_advice(CU_MEM_ADVISE_SET_PREFERRED_LOCATION, node3, 1), 0);
	CHECK_EQ(managed_check_advice(CU_MEM_ADVISE_SET_ACCESSED_BY, node3, 1), 1);
	CHECK_EQ(managed_check_attach((CUstream)9, AT, 0, CU_MEM_ATTACH_SINGLE), 0);
	CHECK_EQ(managed_check_attach(NULL, AT, 0, CU_MEM_ATTACH_SINGLE), 1);
	CHECK_EQ(managed_check_attach(NULL, AT, SIZE, CU_MEM_ATTACH_GLOBAL), 0);
	CHECK_EQ(managed_check_attach(NULL, AT, SIZE / 2, CU_MEM_ATTACH_GLOBAL), 1);
	CHECK_EQ(managed_check_attach(NULL, AT + 4096, 0, CU_MEM_ATTACH_GLOBAL), 1);
	CHECK_EQ(managed_check_attach(NULL, AT, 0, 8), 1);
	managed_remove(AT);
}

TEST(managed_many_small_pieces_of_advice)
{
	managed_add(AT, SIZE);
	for (unsigned i = 0; i < SIZE / 4096; i += 2)
		CHECK_EQ(managed_prefetch(AT + i * 4096ull, 4096, device0), 0);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, 0, SIZE), CU_DEVICE_INVALID);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, 8192, 4096), 0);
	for (unsigned i = 1; i < SIZE / 4096; i += 2)
		CHECK_EQ(managed_prefetch(AT + i * 4096ull, 4096, device0), 0);
	CHECK_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, 0, SIZE), 0);
	managed_remove(AT);
}
