/*
 * A linker for one object at a time. LLVM has two of its own, but then LLVM must be in the process,
 * which takes longer than running most kernels; and what compiled kernels need is little.
 *
 * An image is one mapping: what is only read, a table of addresses with a word for each symbol
 * (the GOT), and from the next page on code, behind which each symbol has a stub that jumps through
 * its word. So all distances inside fit into 32 bits, and the machine's functions may lie anywhere.
 * It is written first and then made executable, never both; nothing in it changes after that.
 *
 * Everything in the object is checked before it is used: a file that is damaged in a way its hash
 * does not show must not be worse than one that is missing.
 */
#include "softgpu/jit/load.h"

#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"

#define WORD	   8u
#define STUB	   8u
#define MOST_IMAGE (UINT64_C(1) << 30)
#define NOWHERE	   UINT64_MAX

struct linking {
	const uint8_t *object;
	size_t size;
	const Elf64_Shdr *sections;
	uint32_t n_sections, n_symbols;
	const Elf64_Sym *symbols;
	const char *names;
	uint64_t names_size;
	const struct jit_machine *machine;
	uint64_t *places;	     /* of sections in the image; NOWHERE: not in it */
	uint64_t table, code, stubs; /* places too */
	uint64_t image_size;
	uint8_t *image;
	char *message;
	size_t message_size;
};

_printf_(2, 3) static bool fail(struct linking *link, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(link->message, link->message_size, format, arguments);
	va_end(arguments);
	return false;
}

/* ---- reading the object ---- */

/* count items of size bytes at an offset, or NULL when they are not all there. */
static const void *part(const struct linking *link, uint64_t at, uint64_t count, uint64_t size)
{
	if (at % WORD || at > link->size || count > (link->size - at) / size)
		return NULL;
	return link->object + at;
}

static bool read_symbols(struct linking *link, const Elf64_Shdr *table)
{
	const Elf64_Shdr *names;

	if (table->sh_link >= link->n_sections || table->sh_size / sizeof(Elf64_Sym) > UINT32_MAX)
		return false;
	names = &link->sections[table->sh_link];
	link->n_symbols = (uint32_t)(table->sh_size / sizeof(Elf64_Sym));
	link->symbols = part(link, table->sh_offset, link->n_symbols, sizeof(Elf64_Sym));
	if (!link->symbols || names->sh_offset > link->size || !names->sh_size ||
	    names->sh_size > link->size - names->sh_offset)
		return false;
	link->names = (const char *)link->object + names->sh_offset;
	link->names_size = names->sh_size;
	return !link->names[names->sh_size - 1];
}

static bool read_object(struct linking *link)
{
	const Elf64_Ehdr *header = part(link, 0, 1, sizeof(*header));

	if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_type != ET_REL ||
	    header->e_machine != EM_X86_64 || header->e_shentsize != sizeof(Elf64_Shdr))
		return false;
	link->n_sections = header->e_shnum;
	link->sections = part(link, header->e_shoff, header->e_shnum, sizeof(Elf64_Shdr));
	for (uint32_t i = 0; link->sections && i < link->n_sections; i++)
		if (link->sections[i].sh_type == SHT_SYMTAB)
			return read_symbols(link, &link->sections[i]);
	return false;
}

/* NULL: the name is not one. */
static const char *name_of(const struct linking *link, const Elf64_Sym *symbol)
{
	return symbol->st_name < link->names_size ? link->names + symbol->st_name : NULL;
}

/* ---- the image ---- */

static bool is_code(const Elf64_Shdr *section)
{
	return section->sh_flags & SHF_EXECINSTR;
}

/* What is only written when it is linked (a table of functions) is read-only afterwards; other
 * variables there are none, and tables for unwinding nobody reads. */
static bool place_section(struct linking *link, uint32_t number, uint64_t *end)
{
	const Elf64_Shdr *section = &link->sections[number];

	if (section->sh_offset > link->size || section->sh_size > link->size - section->sh_offset ||
	    section->sh_addralign > 4096 ||
	    (section->sh_addralign && !is_power_of_two(section->sh_addralign)))
		return fail(link, "section %u is not one of compiled code", number);
	link->places[number] = align_up(*end, MAX(section->sh_addralign, 1u));
	*end = link->places[number] + section->sh_size;
	return *end <= MOST_IMAGE || fail(link, "it is too large");
}

static bool place_sections(struct linking *link, bool code, uint64_t *end)
{
	for (uint32_t i = 0; i < link->n_sections; i++) {
		const Elf64_Shdr *section = &link->sections[i];

		if (section->sh_type == SHT_PROGBITS && (section->sh_flags & SHF_ALLOC) &&
		    is_code(section) == code && !place_section(link, i, end))
			return false;
	}
	return true;
}

static bool lay_out(struct linking *link)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < link->n_sections; i++)
		link->places[i] = NOWHERE;
	if (!place_sections(link, false, &end))
		return false;
	link->table = align_up(end, WORD);
	link->code = align_up(link->table + (uint64_t)link->n_symbols * WORD, 4096);
	end = link->code;
	if (!place_sections(link, true, &end))
		return false;
	link->stubs = align_up(end, STUB);
	link->image_size = align_up(link->stubs + (uint64_t)link->n_symbols * STUB, 4096);
	return link->image_size <= MOST_IMAGE || fail(link, "it is too large");
}

static void copy_sections(struct linking *link)
{
	for (uint32_t i = 0; i < link->n_sections; i++)
		if (link->places[i] != NOWHERE)
			memcpy(link->image + link->places[i],
			    link->object + link->sections[i].sh_offset, link->sections[i].sh_size);
}

/* ---- symbols ---- */

static const void *find_known(const struct linking *link, const char *name)
{
	for (size_t i = 0; i < link->machine->n_symbols; i++)
		if (!strcmp(link->machine->symbols[i].name, name))
			return link->machine->symbols[i].address;
	return dlsym(RTLD_DEFAULT, name);
}

/* The address of a symbol; of a foreign one whatever its distance. 0: it has none. */
static uint64_t address_of(const struct linking *link, const Elf64_Sym *symbol)
{
	if (symbol->st_shndx < link->n_sections && link->places[symbol->st_shndx] != NOWHERE &&
	    symbol->st_value <= link->sections[symbol->st_shndx].sh_size)
		return (uint64_t)link->image + link->places[symbol->st_shndx] + symbol->st_value;
	return 0;
}

static bool is_foreign(const Elf64_Sym *symbol)
{
	return symbol->st_shndx == SHN_UNDEF && symbol->st_name;
}

/* A word, and a stub that jumps through it: jmp *distance(%rip). */
static bool write_symbol(struct linking *link, uint32_t number)
{
	const Elf64_Sym *symbol = &link->symbols[number];
	uint64_t word = link->table + (uint64_t)number * WORD;
	uint64_t stub = link->stubs + (uint64_t)number * STUB;
	uint64_t address = address_of(link, symbol);
	uint8_t jump[STUB] = {0xff, 0x25, 0, 0, 0, 0, 0xcc, 0xcc};
	int32_t distance = (int32_t)((int64_t)word - (int64_t)(stub + 6));
	const char *name = name_of(link, symbol);

	if (is_foreign(symbol) && name && strcmp(name, "_GLOBAL_OFFSET_TABLE_")) {
		address = (uint64_t)find_known(link, name);
		if (!address)
			return fail(link, "there is no function %s", name);
	}
	memcpy(jump + 2, &distance, sizeof(distance));
	memcpy(link->image + word, &address, sizeof(address));
	memcpy(link->image + stub, jump, sizeof(jump));
	return true;
}

static bool write_symbols(struct linking *link)
{
	for (uint32_t i = 0; i < link->n_symbols; i++)
		if (!write_symbol(link, i))
			return false;
	return true;
}

/* ---- relocations ---- */

/* Where a relocation points: the symbol itself, or its word or stub. 0: nowhere. */
static uint64_t target_of(const struct linking *link, uint32_t type, uint32_t number)
{
	const Elf64_Sym *symbol = &link->symbols[number];
	uint64_t base = (uint64_t)link->image;

	switch (type) {
	case R_X86_64_GOTPCREL:
	case R_X86_64_GOTPCRELX:
	case R_X86_64_REX_GOTPCRELX:
		return base + link->table + (uint64_t)number * WORD;
	case R_X86_64_PLT32:
		if (is_foreign(symbol))
			return base + link->stubs + (uint64_t)number * STUB;
		return address_of(link, symbol);
	default:
		return address_of(link, symbol);
	}
}

/* Bytes that it changes; 0: none that code of the small model has. */
static unsigned width_of(uint32_t type)
{
	switch (type) {
	case R_X86_64_64:
	case R_X86_64_PC64:
		return 8;
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
	case R_X86_64_GOTPCREL:
	case R_X86_64_GOTPCRELX:
	case R_X86_64_REX_GOTPCRELX:
		return 4;
	default:
		return 0;
	}
}

static bool relocate(struct linking *link, uint32_t section, const Elf64_Rela *r)
{
	uint32_t type = (uint32_t)ELF64_R_TYPE(r->r_info);
	uint32_t number = (uint32_t)ELF64_R_SYM(r->r_info);
	uint64_t size = link->sections[section].sh_size, target, value;
	unsigned width = width_of(type);
	uint8_t *at;

	if (!width || number >= link->n_symbols || r->r_offset > size ||
	    width > size - r->r_offset || !(target = target_of(link, type, number)))
		return fail(link, "a relocation of type %u is not one of compiled code", type);
	at = link->image + link->places[section] + r->r_offset;
	value = target + (uint64_t)r->r_addend;
	if (type != R_X86_64_64)
		value -= (uint64_t)at;
	if (width == 4 && (int64_t)value != (int32_t)value)
		return fail(link, "a distance does not fit");
	memcpy(at, &value, width);
	return true;
}

static bool relocate_all(struct linking *link)
{
	for (uint32_t i = 0; i < link->n_sections; i++) {
		const Elf64_Shdr *section = &link->sections[i];
		uint64_t count = section->sh_size / sizeof(Elf64_Rela);
		const Elf64_Rela *all;

		if (section->sh_type != SHT_RELA || section->sh_info >= link->n_sections ||
		    link->places[section->sh_info] == NOWHERE)
			continue;
		all = part(link, section->sh_offset, count, sizeof(*all));
		if (!all)
			return fail(link, "its relocations are cut off");
		for (uint64_t k = 0; k < count; k++)
			if (!relocate(link, section->sh_info, &all[k]))
				return false;
	}
	return true;
}

/* ---- all of it ---- */

static bool find_entry(struct linking *link, const char *entry, struct loaded *out)
{
	for (uint32_t i = 0; i < link->n_symbols; i++) {
		const char *name = name_of(link, &link->symbols[i]);
		uint64_t address = address_of(link, &link->symbols[i]);

		if (name && !strcmp(name, entry) && address >= (uint64_t)link->image + link->code) {
			out->entry = (void *)address;
			return true;
		}
	}
	return fail(link, "there is no %s in it", entry);
}

static bool protect(struct linking *link)
{
	return (!mprotect(link->image, link->code, PROT_READ) &&
		   !mprotect(link->image + link->code, link->image_size - link->code,
		       PROT_READ | PROT_EXEC)) ||
	       fail(link, "the system lets no code be made");
}

static bool make_image(struct linking *link, const char *entry, struct loaded *out)
{
	link->image = mmap(
	    NULL, link->image_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (link->image == MAP_FAILED)
		return fail(link, "out of memory");
	*out = (struct loaded){.base = link->image, .size = link->image_size};
	copy_sections(link);
	if (write_symbols(link) && relocate_all(link) && find_entry(link, entry, out) &&
	    protect(link))
		return true;
	object_unload(out);
	return false;
}

bool object_load(const void *object, size_t size, const char *entry,
    const struct jit_machine *machine, char *message, size_t message_size, struct loaded *out)
{
	struct linking link = {.object = object,
	    .size = size,
	    .machine = machine,
	    .message = message,
	    .message_size = message_size};
	bool done;

	if (!read_object(&link))
		return fail(&link, "it is no object file of this CPU");
	link.places = calloc(link.n_sections, sizeof(*link.places));
	if (!link.places)
		return fail(&link, "out of memory");
	done = lay_out(&link) && make_image(&link, entry, out);
	free(link.places);
	return done;
}

void object_unload(struct loaded *loaded)
{
	munmap(loaded->base, loaded->size);
	*loaded = (struct loaded){0};
}
