/* See image_thin.h. Two passes: what there is for each device, then what stays. */
#include "abi/image_thin.h"

#include <stdint.h>
#include <string.h>

#include "abi/image.h"
#include "base/util.h"

/* Of the container's header: where it says how many bytes follow. */
#define HEADER_SIZE_AT 6
#define BODY_SIZE_AT   8

/* Whether a device could take the member, if it takes members of its kind. */
static bool fits(const struct abi_member *member, unsigned sm)
{
	bool ptx = member->kind == ABI_MEMBER_PTX;

	if (member->flags & ABI_MEMBER_ARCH_EXACT)
		return member->sm == sm;
	if (member->sm > sm)
		return false;
	if (member->flags & ABI_MEMBER_ARCH_FAMILY)
		return member->sm / 10 == sm / 10;
	return ptx || member->sm / 10 == sm / 10;
}

struct choice {
	bool has_code[ABI_THIN_DEVICES_MAX];
	unsigned best_ptx[ABI_THIN_DEVICES_MAX]; /* 0: none */
};

static bool is_lto(const struct abi_member *member)
{
	return member->kind == ABI_MEMBER_LTO || (member->flags & ABI_MEMBER_IS_LTO);
}

static void look_at(
    const struct abi_member *member, const struct abi_thin *rules, struct choice *choice)
{
	if (is_lto(member))
		return;
	for (size_t i = 0; i < rules->n; i++) {
		if (!fits(member, rules->sm[i]))
			continue;
		if (member->kind == ABI_MEMBER_ELF && !rules->no_machine_code)
			choice->has_code[i] = true;
		if (member->kind == ABI_MEMBER_PTX)
			choice->best_ptx[i] = MAX(choice->best_ptx[i], member->sm);
	}
}

static bool stays_for(const struct abi_member *member, const struct abi_thin *rules,
    const struct choice *choice, size_t i)
{
	if (is_lto(member))
		return !choice->has_code[i];
	if (!fits(member, rules->sm[i]))
		return false;
	if (member->kind == ABI_MEMBER_ELF)
		return !rules->no_machine_code;
	return rules->all_ptx || (!choice->has_code[i] && member->sm == choice->best_ptx[i]);
}

static bool stays(
    const struct abi_member *member, const struct abi_thin *rules, const struct choice *choice)
{
	bool known =
	    member->kind == ABI_MEMBER_PTX || member->kind == ABI_MEMBER_ELF || is_lto(member);

	for (size_t i = 0; known && i < rules->n; i++)
		if (stays_for(member, rules, choice, i))
			return true;
	return !known;
}

static bool look_at_all(
    struct abi_fatbin fatbin, const struct abi_thin *rules, struct choice *choice)
{
	struct abi_member member;
	int r;

	while ((r = abi_fatbin_next(&fatbin, &member)) == 0)
		look_at(&member, rules, choice);
	return r == ABI_FATBIN_END;
}

size_t abi_fatbin_thin(
    const void *data, size_t size, const struct abi_thin *rules, void *out, bool *self_sufficient)
{
	struct choice choice = {0};
	struct abi_fatbin fatbin;
	struct abi_member member;
	uint16_t header;
	size_t used;

	*self_sufficient = false;
	if (!rules->n || rules->n > ABI_THIN_DEVICES_MAX ||
	    abi_fatbin_init(&fatbin, data, size) < 0 || !look_at_all(fatbin, rules, &choice))
		return 0;
	memcpy(&header, (const uint8_t *)data + HEADER_SIZE_AT, sizeof(header));
	memcpy(out, data, header);
	used = header;
	for (const uint8_t *at = fatbin.at; abi_fatbin_next(&fatbin, &member) == 0;
	    at = fatbin.at) {
		if (!stays(&member, rules, &choice))
			continue;
		memcpy((uint8_t *)out + used, at, (size_t)(fatbin.at - at));
		used += (size_t)(fatbin.at - at);
	}
	*self_sufficient = true;
	for (size_t i = 0; i < rules->n; i++)
		*self_sufficient &= choice.has_code[i];
	uint64_t body = used - header;
	memcpy((uint8_t *)out + BODY_SIZE_AT, &body, sizeof(body));
	return body && used < size ? used : 0;
}
