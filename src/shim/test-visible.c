/*
 * CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER in the forms that CUDA documents, on devices made up
 * here.
 */
#include "base/test.h"
#include "shim/visible.h"

static const struct visible_device devices[] = {
    {.uuid = {"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"}, .pci_bus = 9},
    {.uuid = {"\x01\x23\x99\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"}, .pci_bus = 3},
    {.uuid = {"\xff\x23\x99\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"}, .pci_bus = 5},
};

static void check(const char *list, const char *order, const char *wanted)
{
	char got[16] = "";
	int out[ARRAY_SIZE(devices)];
	int n = visible_select(list, order, devices, ARRAY_SIZE(devices), out);

	for (int i = 0; i < n; i++)
		got[i] = (char)('0' + out[i]);
	CHECK_STR(got, wanted);
}

TEST(no_list_shows_all)
{
	check(NULL, NULL, "012");
	check(NULL, "FASTEST_FIRST", "012");
}

TEST(numbers_choose_and_reorder)
{
	check("2,0", NULL, "20");
	check(" 1 , 2", NULL, "12");
	check("1gpu", NULL, "1");
	check("", NULL, "");
}

TEST(an_invalid_entry_ends_the_list)
{
	check("1,7,0", NULL, "1");
	check("0,-1,1", NULL, "0");
	check("none", NULL, "");
	check("0,,1", NULL, "0");
	check("MIG-1", NULL, "");
	check("0,99999999999999999999,1", NULL, "0");
}

TEST(a_device_named_twice_is_an_error)
{
	int out[ARRAY_SIZE(devices)];

	CHECK_EQ(visible_select("0,0", NULL, devices, 3, out), VISIBLE_TWICE);
	CHECK_EQ(visible_select("0,GPU-01234567", NULL, devices, 3, out), VISIBLE_TWICE);
	CHECK_EQ(visible_select("0,1,-1,1", NULL, devices, 3, out), 2);
}

TEST(uuids_may_be_shortened_while_unique)
{
	check("GPU-ff", NULL, "2");
	check("GPU-01234567-89ab-cdef-0123-456789abcdef,GPU-012399", NULL, "01");
	check("GPU-0123", NULL, "");
	check("2,GPU-aa,0", NULL, "2");
	check("GPU-01234567-89ab-cdef-0123-456789abcdef0", NULL, "");
}

TEST(pci_order_renumbers)
{
	check(NULL, "PCI_BUS_ID", "120");
	check("0,2", "PCI_BUS_ID", "10");
}
