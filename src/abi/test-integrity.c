/* The runtime's integrity check: MD2 by RFC 1319's own vectors, and what the answer depends on. */
#include "abi/integrity.h"
#include "base/test.h"

static void check_md2(const char *text, const char *wanted)
{
	uint8_t digest[ABI_MD2_SIZE];
	char hex[2 * ABI_MD2_SIZE + 1];

	abi_md2(text, strlen(text), digest);
	for (int i = 0; i < ABI_MD2_SIZE; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	CHECK_STR(hex, wanted);
}

/* The test suite of RFC 1319, appendix A.5. */
TEST(md2_of_the_rfc)
{
	check_md2("", "8350e5a3e24c153df2275c9f80692773");
	check_md2("a", "32ec01ec4a6dac72c0ab96fb34c0b5d1");
	check_md2("abc", "da853b0d3f88d99b30283a69e6ded6bb");
	check_md2("message digest", "ab4f496bfb2a530b219ff33031fe06b0");
	check_md2("abcdefghijklmnopqrstuvwxyz", "4e8ddff3650292ab5a4108c3aa47940b");
	check_md2(
	    "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
	    "d5976f79d83d3a0dc9806c3c66f3efd8");
}

TEST(answer_depends_on_process_and_devices)
{
	static const uint8_t wanted[16] = {0xf9, 0xb5, 0x40, 0x6b, 0xa2, 0x9a, 0xa1, 0x1f, 0xf0,
	    0xc7, 0xdb, 0xfe, 0xdd, 0xcd, 0x07, 0x47};
	struct abi_integrity_device device = {.pci_bus = 2};
	struct abi_integrity_question question = {
	    .driver_version = 13000,
	    .version = 13002,
	    .process = 0x1234,
	    .thread = 0x5678,
	    .runtime_table = 0x1000,
	    .integrity_table = 0x2000,
	    .integrity_function = 0x3000,
	    .seconds = 0x65000000,
	    .devices = &device,
	    .n_devices = 1,
	};
	uint64_t answer[2];

	for (uint8_t i = 0; i < 16; i++)
		device.uuid[i] = i;
	abi_integrity_answer(&question, answer);
	CHECK_BYTES(answer, wanted, 16);
	device.pci_bus = 3;
	abi_integrity_answer(&question, answer);
	CHECK(memcmp(answer, wanted, 16));
}

TEST(answer_of_the_first_two_versions_is_constant)
{
	struct abi_integrity_question question = {.version = 13000};
	uint64_t answer[2];

	abi_integrity_answer(&question, answer);
	CHECK(answer[0] == 0x3341181C03CB675Cull && answer[1] == 0x8ED383AA1F4CD1E8ull);
	question.version++;
	abi_integrity_answer(&question, answer);
	CHECK(answer[0] == 0x1841181C03CB675Cull && answer[1] == 0x8ED383AA1F4CD1E8ull);
}
