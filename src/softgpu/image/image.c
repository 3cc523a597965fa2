/*
 * Chooses, in each fatbin, the PTX for the highest architecture not above the device's, or else one
 * for a later member of its family, which differs in no instruction; and decompresses it. A wrapper
 * of relocatable code whose linked fatbin has no PTX falls back to the fatbins from before the
 * link, one text each; the module loader links them.
 */
#include "softgpu/image/image.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "abi/image.h"
#include "abi/unpack.h"
#include "base/error.h"
#include "base/util.h"

#define TEXT_SIZE_MAX ((size_t)1 << 30) /* a size field beyond this is damage */

static int member_text(const struct abi_member *member, struct sg_text *text)
{
	struct abi_unpacked unpacked;
	int r = abi_member_unpack(member, TEXT_SIZE_MAX, &unpacked);

	if (r == 0)
		*text = (struct sg_text){unpacked.data, unpacked.size, unpacked.owned};
	return r == ABI_UNPACK_DAMAGED ? SG_IMAGE_INVALID : r;
}

/* ---- what a text says of itself ---- */

static const char *text_skip_spaces(const char *at, const char *end)
{
	while (at < end) {
		if (*at == ' ' || (*at >= '\t' && *at <= '\r'))
			at++;
		else if (*at == '#' || (end - at > 1 && at[0] == '/' && at[1] == '/'))
			at = memchr(at, '\n', (size_t)(end - at)) ?: end;
		else if (end - at > 3 && at[0] == '/' && at[1] == '*')
			at = memmem(at + 2, (size_t)(end - at - 2), "*/", 2) ?: end - 2, at += 2;
		else
			break;
	}
	return at;
}

/* Behind the word, if it stands at `at` after spaces; else NULL. */
static const char *text_word(const char *at, const char *end, const char *word)
{
	size_t length = strlen(word);

	at = text_skip_spaces(at, end);
	if ((size_t)(end - at) < length || memcmp(at, word, length))
		return NULL;
	return at + length;
}

/* At most four digits, so that no text makes it overflow. */
static const char *text_number(const char *at, const char *end, unsigned *number)
{
	*number = 0;
	at = text_skip_spaces(at, end);
	for (int i = 0; i < 4 && at < end && *at >= '0' && *at <= '9'; i++)
		*number = *number * 10 + (unsigned)(*at++ - '0');
	return at;
}

void sg_text_head_read(const struct sg_text *text, struct sg_text_head *head)
{
	const char *end = text->text + text->size, *at, *name;
	unsigned major, minor = 0;

	*head = (struct sg_text_head){0};
	at = text_word(text->text, end, ".version");
	if (!at)
		return;
	at = text_number(at, end, &major);
	if (at < end && *at == '.')
		at = text_number(at + 1, end, &minor);
	head->version = major * 10 + minor;
	at = text_word(at, end, ".target");
	name = at ? text_word(at, end, "sm_") ?: text_word(at, end, "compute_") : NULL;
	if (!name)
		return;
	at = text_number(name, end, &head->target);
	if (at < end && (*at == 'a' || *at == 'f'))
		head->letter = *at;
}

/* ---- choice ---- */

static bool member_runs(const struct abi_member *member, int capability)
{
	int sm = (int)MIN(member->sm, 100000u);

	if (member->kind != ABI_MEMBER_PTX)
		return false;
	if (member->flags & ABI_MEMBER_ARCH_EXACT)
		return sm == capability;
	if (member->flags & ABI_MEMBER_ARCH_FAMILY)
		return sm / 10 == capability / 10 && sm <= capability;
	return sm <= capability;
}

/* NVIDIA's libraries have some PTX for 12.1 only. */
static bool member_is_sibling(const struct abi_member *member, int capability)
{
	return member->kind == ABI_MEMBER_PTX && (int)MIN(member->sm, 100000u) > capability &&
	       (int)MIN(member->sm, 100000u) / 10 == capability / 10 &&
	       !(member->flags & (ABI_MEMBER_ARCH_EXACT | ABI_MEMBER_ARCH_FAMILY));
}

static int fatbin_text(const void *data, size_t limit, int capability, struct sg_text *text)
{
	struct abi_member member, best = {0}, sibling = {0};
	struct abi_fatbin fatbin;
	bool found = false, has_sibling = false;
	int r = abi_fatbin_init(&fatbin, data, limit);

	if (r < 0)
		return SG_IMAGE_INVALID;
	while ((r = abi_fatbin_next(&fatbin, &member)) == 0) {
		if (member_is_sibling(&member, capability)) {
			sibling = member;
			has_sibling = true;
		} else if (member_runs(&member, capability) && (!found || member.sm > best.sm)) {
			best = member;
			found = true;
		}
	}
	if (r < 0)
		return SG_IMAGE_INVALID;
	return found	     ? member_text(&best, text)
	       : has_sibling ? member_text(&sibling, text)
			     : SG_IMAGE_NO_PTX;
}

/* ---- linked images ---- */

/* A member kind of our own: a text that belongs to the program whatever the device. */
#define MEMBER_LINKED 0x5347

#define FATBIN_HEADER_SIZE 16
#define MEMBER_HEADER_SIZE 64

static void image_put(uint8_t *at, uint64_t value, size_t size)
{
	memcpy(at, &value, size);
}

void *sg_image_pack(const struct sg_text *texts, size_t n_texts, size_t *size)
{
	size_t body = 0;

	for (size_t i = 0; i < n_texts; i++)
		body += MEMBER_HEADER_SIZE + align_up(texts[i].size, 8);
	uint8_t *fatbin = calloc(1, FATBIN_HEADER_SIZE + body), *at = fatbin;
	if (!fatbin)
		return NULL;
	image_put(at, ABI_FATBIN_MAGIC, 4);
	image_put(at + 4, 1, 2);
	image_put(at + 6, FATBIN_HEADER_SIZE, 2);
	image_put(at + 8, body, 8);
	at += FATBIN_HEADER_SIZE;
	for (size_t i = 0; i < n_texts; i++) {
		image_put(at, MEMBER_LINKED, 2);
		image_put(at + 4, MEMBER_HEADER_SIZE, 4);
		image_put(at + 8, align_up(texts[i].size, 8), 4);
		image_put(at + 40, ABI_MEMBER_64BIT, 8);
		memcpy(at + MEMBER_HEADER_SIZE, texts[i].text, texts[i].size);
		at += MEMBER_HEADER_SIZE + align_up(texts[i].size, 8);
	}
	*size = FATBIN_HEADER_SIZE + body;
	return fatbin;
}

/* How many linked texts the fatbin has; the first `room` of them are put in texts. */
static size_t fatbin_linked(const void *data, size_t limit, struct sg_text *texts, size_t room)
{
	struct abi_fatbin fatbin;
	struct abi_member member;
	size_t n = 0;

	if (abi_fatbin_init(&fatbin, data, limit) < 0)
		return 0;
	while (abi_fatbin_next(&fatbin, &member) == 0) {
		if (member.kind != MEMBER_LINKED)
			continue;
		if (n < room)
			texts[n] = (struct sg_text){
			    .text = (const char *)member.payload, .size = member.payload_size};
		n++;
	}
	return n;
}

/* ---- reading ---- */

static int image_reserve(struct sg_image *image, size_t n)
{
	image->texts = calloc(n, sizeof(*image->texts));
	return image->texts ? 0 : error_origin(-ENOMEM);
}

static int image_read_prelinked(
    struct sg_image *image, const struct abi_image *measured, int capability)
{
	free(image->texts);
	int r = image_reserve(image, measured->n_prelinked);
	for (size_t i = 0; r == 0 && i < measured->n_prelinked; i++) {
		r = fatbin_text(measured->prelinked[i], ABI_IMAGE_NO_LIMIT, capability,
		    &image->texts[image->n_texts]);
		image->n_texts += r == 0;
		/* NVIDIA's device runtime may be for later devices only: nothing of it is
		 * needed. */
		r = r == SG_IMAGE_NO_PTX ? 0 : r;
	}
	return r == 0 && !image->n_texts ? SG_IMAGE_NO_PTX : r;
}

static int image_read(struct sg_image *image, const struct abi_image *measured, int capability)
{
	size_t linked = measured->kind == ABI_IMAGE_FATBIN
			    ? fatbin_linked(measured->data, measured->size, NULL, 0)
			    : 0;
	int r = image_reserve(image, MAX(linked, (size_t)1));

	if (r < 0)
		return r;
	if (linked) {
		image->n_texts =
		    fatbin_linked(measured->data, measured->size, image->texts, linked);
		return 0;
	}
	if (measured->kind == ABI_IMAGE_ELF)
		return SG_IMAGE_NO_PTX;
	if (measured->kind == ABI_IMAGE_PTX)
		*image->texts = (struct sg_text){.text = measured->data, .size = measured->size};
	else
		r = fatbin_text(measured->data, measured->size, capability, image->texts);
	if (r == SG_IMAGE_NO_PTX && measured->n_prelinked)
		return image_read_prelinked(image, measured, capability);
	image->n_texts = r == 0;
	return r;
}

int sg_image_init(struct sg_image *image, const void *pointer, size_t limit, int capability)
{
	struct abi_image measured;

	*image = (struct sg_image){0};
	if (abi_image_measure(pointer, limit, &measured) < 0)
		return SG_IMAGE_INVALID;
	int r = image_read(image, &measured, capability);
	if (r != 0)
		sg_image_fini(image);
	return r;
}

void sg_image_fini(struct sg_image *image)
{
	for (size_t i = 0; i < image->n_texts; i++)
		free(image->texts[i].owned);
	free(image->texts);
	*image = (struct sg_image){0};
}
