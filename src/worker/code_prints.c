/*
 * Run by the worker when a program's code is loaded, on bytes of the tenant's that abi/image.h has
 * measured. A fatbin holds the same code for many devices, compressed: only what a device of this
 * host may be given is looked at, machine code of its generation and PTX that can become such.
 *
 * Calls of functions that another image holds cannot hide a vprintf: code is linked before it is
 * loaded, so that what it calls is in the image. The one exception, a pointer to a function of
 * another module, is taken for no printing.
 */
#include "worker/code_prints.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "abi/unpack.h"

#define PRINTF	     "vprintf"
#define MACHINE_CUDA 190		 /* e_machine of cubins */
#define UNPACKED_MAX ((size_t)256 << 20) /* looking through more would delay the program */

static bool names_it(const void *bytes, size_t size)
{
	return memmem(bytes, size, PRINTF, sizeof(PRINTF) - 1);
}

/* elf: measured, so that headers and sections lie in it. */
static bool elf_prints(const uint8_t *elf)
{
	Elf64_Ehdr header;
	bool has_symbols = false;

	memcpy(&header, elf, sizeof(header));
	if (header.e_machine != MACHINE_CUDA)
		return true;
	for (unsigned i = 0; i < header.e_shnum; i++) {
		Elf64_Shdr section;
		memcpy(
		    &section, elf + header.e_shoff + (size_t)i * sizeof(section), sizeof(section));
		has_symbols |= section.sh_type == SHT_SYMTAB;
		if (section.sh_type == SHT_STRTAB &&
		    names_it(elf + section.sh_offset, section.sh_size))
			return true;
	}
	return !has_symbols;
}

/* Text or machine code, not packed. */
static bool plain_prints(const struct abi_image *image)
{
	switch (image->kind) {
	case ABI_IMAGE_ELF:
		return elf_prints(image->data);
	case ABI_IMAGE_PTX:
		return names_it(image->data, image->size);
	default:
		return true;
	}
}

static bool member_prints(const struct abi_member *member)
{
	struct abi_unpacked code;
	struct abi_image image;

	if (abi_member_unpack(member, UNPACKED_MAX, &code) != 0)
		return true;
	bool prints = abi_image_measure(code.data, code.size, &image) < 0 || plain_prints(&image);
	free(code.owned);
	return prints;
}

/* --- fatbins --- */

static bool member_fits(
    const struct abi_member *member, enum abi_member_kind kind, unsigned capability)
{
	return member->kind == kind && member->sm <= capability &&
	       (kind != ABI_MEMBER_ELF || member->sm / 10 == capability / 10);
}

enum verdict { NOTHING_THERE, SILENT, PRINTS };

static enum verdict members_print(
    const struct abi_image *image, enum abi_member_kind kind, unsigned capability)
{
	enum verdict verdict = NOTHING_THERE;
	struct abi_fatbin fatbin;
	struct abi_member member;
	int r = abi_fatbin_init(&fatbin, image->data, image->size);

	while (r == 0 && (r = abi_fatbin_next(&fatbin, &member)) == 0) {
		if (!member_fits(&member, kind, capability))
			continue;
		if (member_prints(&member))
			return PRINTS;
		verdict = SILENT;
	}
	return r < 0 ? PRINTS : verdict;
}

static bool fatbin_prints(const struct abi_image *image, const unsigned *capabilities, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		enum verdict elf = members_print(image, ABI_MEMBER_ELF, capabilities[i]);
		enum verdict ptx =
		    elf == PRINTS ? PRINTS : members_print(image, ABI_MEMBER_PTX, capabilities[i]);
		/* Neither of the two: something only the driver can read. */
		if (ptx == PRINTS || (elf == NOTHING_THERE && ptx == NOTHING_THERE))
			return true;
	}
	return !n;
}

bool code_prints(const struct abi_image *image, const unsigned *capabilities, unsigned n)
{
	if (image->kind == ABI_IMAGE_FATBIN)
		return fatbin_prints(image, capabilities, n);
	return plain_prints(image);
}
