/* Which members of a fatbin stay for which devices. */
#include "abi/image_thin.h"

#include <string.h>

#include "abi/image.h"
#include "base/test.h"

struct builder {
	uint8_t bytes[8192];
	size_t size;
};

static void put(struct builder *b, const void *bytes, size_t size)
{
	CHECK(b->size + size <= sizeof(b->bytes));
	memcpy(b->bytes + b->size, bytes, size);
	b->size += size;
}

static void start(struct builder *b)
{
	struct {
		uint32_t magic;
		uint16_t version, header;
		uint64_t body;
	} header = {ABI_FATBIN_MAGIC, 1, 16, 0};

	b->size = 0;
	put(b, &header, sizeof(header));
}

static void add(struct builder *b, uint16_t kind, uint32_t sm, uint64_t flags)
{
	uint8_t member[64] = {0};
	char payload[48] = {0};
	uint32_t header = sizeof(member);
	uint64_t size = sizeof(payload), body;

	memcpy(member, &kind, sizeof(kind));
	memcpy(member + 4, &header, sizeof(header));
	memcpy(member + 8, &size, sizeof(size));
	memcpy(member + 28, &sm, sizeof(sm));
	memcpy(member + 40, &flags, sizeof(flags));
	put(b, member, sizeof(member));
	put(b, payload, sizeof(payload));
	body = b->size - 16;
	memcpy(b->bytes + 8, &body, sizeof(body));
}

/* "e75 e80a p90": kind, architecture, a for one alone, f for a family; as in the builder. */
static void describe(const void *fatbin, size_t size, char *text)
{
	struct abi_fatbin at;
	struct abi_member member;

	*text = 0;
	CHECK_EQ(abi_fatbin_init(&at, fatbin, size), 0);
	while (abi_fatbin_next(&at, &member) == 0)
		text += sprintf(text, "%s%s%u%s", at.at == fatbin ? "" : " ",
		    member.kind == ABI_MEMBER_PTX   ? "p"
		    : member.kind == ABI_MEMBER_ELF ? "e"
		    : member.kind == ABI_MEMBER_LTO ? "l"
						    : "?",
		    member.sm,
		    member.flags & ABI_MEMBER_ARCH_EXACT    ? "a"
		    : member.flags & ABI_MEMBER_ARCH_FAMILY ? "f"
							    : "");
}

/* What a library for all GPUs has. */
static void build_usual(struct builder *b)
{
	start(b);
	for (unsigned sm = 70; sm <= 120; sm += 10)
		add(b, ABI_MEMBER_ELF, sm, ABI_MEMBER_64BIT);
	add(b, ABI_MEMBER_ELF, 75, 0);
	add(b, ABI_MEMBER_ELF, 86, 0);
	add(b, ABI_MEMBER_ELF, 90, ABI_MEMBER_ARCH_EXACT);
	add(b, ABI_MEMBER_ELF, 100, ABI_MEMBER_ARCH_FAMILY);
	add(b, ABI_MEMBER_PTX, 70, 0);
	add(b, ABI_MEMBER_PTX, 90, 0);
	add(b, ABI_MEMBER_PTX, 90, ABI_MEMBER_ARCH_EXACT);
	add(b, ABI_MEMBER_PTX, 120, 0);
	add(b, ABI_MEMBER_LTO, 90, 0);
}

/* What is left, "" where nothing is left out. */
static void check(const struct builder *b, struct abi_thin rules, const char *wanted, bool self)
{
	static uint8_t out[8192];
	char text[512] = "";
	bool sufficient;

	size_t size = abi_fatbin_thin(b->bytes, b->size, &rules, out, &sufficient);
	if (size)
		describe(out, size, text);
	CHECK_STR(text, wanted);
	CHECK_EQ(sufficient, self);
}

TEST(machine_code_that_a_device_runs_stays)
{
	static struct builder b;

	build_usual(&b);
	check(&b, (struct abi_thin){.sm = {90}, .n = 1}, " e90 e90a", true);
	check(&b, (struct abi_thin){.sm = {80}, .n = 1}, " e80", true);
	check(&b, (struct abi_thin){.sm = {89}, .n = 1}, " e80 e86", true);
	check(&b, (struct abi_thin){.sm = {103}, .n = 1}, " e100 e100f", true);
	check(&b, (struct abi_thin){.sm = {80, 90}, .n = 2}, " e80 e90 e90a", true);
}

TEST(ptx_stays_for_a_device_without)
{
	static struct builder b;

	build_usual(&b);
	/* The highest not above it; one for exactly 90 is not for later ones. */
	check(&b, (struct abi_thin){.sm = {60}, .n = 1}, " l90", false);
	start(&b);
	add(&b, ABI_MEMBER_ELF, 70, 0);
	add(&b, ABI_MEMBER_PTX, 70, 0);
	add(&b, ABI_MEMBER_PTX, 80, 0);
	add(&b, ABI_MEMBER_PTX, 90, ABI_MEMBER_ARCH_EXACT);
	add(&b, ABI_MEMBER_PTX, 120, 0);
	check(&b, (struct abi_thin){.sm = {100}, .n = 1}, " p80", false);
	check(&b, (struct abi_thin){.sm = {90}, .n = 1}, " p90a", false);
	check(&b, (struct abi_thin){.sm = {75, 100}, .n = 2}, " e70 p80", false);
	check(&b, (struct abi_thin){.sm = {75}, .n = 1}, " e70", true);
	check(&b, (struct abi_thin){.sm = {75}, .n = 1, .all_ptx = true}, " e70 p70", true);
}

TEST(a_device_without_machine_code_gets_ptx)
{
	static struct builder b;

	build_usual(&b);
	check(
	    &b, (struct abi_thin){.sm = {80}, .n = 1, .no_machine_code = true}, " p70 l90", false);
}

TEST(what_cannot_be_judged_stays)
{
	static struct builder b;
	struct abi_thin rules = {.sm = {90}, .n = 1};
	uint8_t out[8192];
	bool sufficient;

	start(&b);
	add(&b, ABI_MEMBER_ELF, 90, 0);
	check(&b, rules, "", true); /* all of it */
	add(&b, 64, 50, 0);
	check(&b, rules, "", true);
	add(&b, ABI_MEMBER_ELF, 80, 0);
	check(&b, rules, " e90 ?50", true);
	/* Nothing for this device: the backend shall say so. */
	start(&b);
	add(&b, ABI_MEMBER_ELF, 80, 0);
	check(&b, rules, "", false);
	/* Damaged. */
	add(&b, ABI_MEMBER_ELF, 90, 0);
	CHECK_EQ(abi_fatbin_thin(b.bytes, b.size - 50, &rules, out, &sufficient), 0);
	CHECK(!sufficient);
	CHECK_EQ(abi_fatbin_thin(b.bytes, 3, &rules, out, &sufficient), 0);
}
