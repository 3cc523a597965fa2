/*
 * The linker of compiled kernels, on an object put together here: each kind of relocation does what
 * it should, and no damage to the object does harm.
 */
#include "softgpu/jit/load.h"

#include <elf.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/test.h"

enum { SYMBOL_NONE, SYMBOL_KERNEL, SYMBOL_NUMBERS, SYMBOL_GIVE, SYMBOLS };
enum { SECTION_NONE, CODE, NUMBERS, RELOCATIONS, POINTERS, SYMTAB, NAMES, SECTIONS };

#define NAME_KERNEL 1
#define NAME_GIVE   8

/* int kernel(void) { return give() + give() + numbers[0] + *pointer; }, pointer = &numbers[1] */
static const struct object {
	Elf64_Ehdr header;
	Elf64_Shdr sections[SECTIONS];
	Elf64_Rela relocations[4], pointers[1];
	Elf64_Sym symbols[SYMBOLS];
	uint8_t code[48];
	struct {
		uint32_t all[2];
		uint64_t pointer;
	} numbers;
	char names[16];
} object = {
    .header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	.e_type = ET_REL,
	.e_machine = EM_X86_64,
	.e_version = EV_CURRENT,
	.e_shoff = offsetof(struct object, sections),
	.e_shentsize = sizeof(Elf64_Shdr),
	.e_shnum = SECTIONS},
    .sections = {[CODE] = {.sh_type = SHT_PROGBITS,
		     .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
		     .sh_offset = offsetof(struct object, code),
		     .sh_size = sizeof(object.code),
		     .sh_addralign = 16},
	[NUMBERS] = {.sh_type = SHT_PROGBITS,
	    .sh_flags = SHF_ALLOC,
	    .sh_offset = offsetof(struct object, numbers),
	    .sh_size = sizeof(object.numbers),
	    .sh_addralign = 8},
	[RELOCATIONS] = {.sh_type = SHT_RELA,
	    .sh_offset = offsetof(struct object, relocations),
	    .sh_size = sizeof(object.relocations),
	    .sh_link = SYMTAB,
	    .sh_info = CODE},
	[POINTERS] = {.sh_type = SHT_RELA,
	    .sh_offset = offsetof(struct object, pointers),
	    .sh_size = sizeof(object.pointers),
	    .sh_link = SYMTAB,
	    .sh_info = NUMBERS},
	[SYMTAB] = {.sh_type = SHT_SYMTAB,
	    .sh_offset = offsetof(struct object, symbols),
	    .sh_size = sizeof(object.symbols),
	    .sh_link = NAMES},
	[NAMES] = {.sh_type = SHT_STRTAB,
	    .sh_offset = offsetof(struct object, names),
	    .sh_size = sizeof(object.names)}},
    .relocations = {{2, ELF64_R_INFO(SYMBOL_GIVE, R_X86_64_PLT32), -4},
	{10, ELF64_R_INFO(SYMBOL_GIVE, R_X86_64_GOTPCRELX), -4},
	{18, ELF64_R_INFO(SYMBOL_NUMBERS, R_X86_64_PC32), -4},
	{25, ELF64_R_INFO(SYMBOL_NUMBERS, R_X86_64_PC32), 8 - 4}},
    .pointers = {{8, ELF64_R_INFO(SYMBOL_NUMBERS, R_X86_64_64), 4}},
    .symbols = {[SYMBOL_KERNEL] = {NAME_KERNEL, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, CODE},
	[SYMBOL_NUMBERS] = {0, ELF64_ST_INFO(STB_LOCAL, STT_SECTION), 0, NUMBERS},
	[SYMBOL_GIVE] = {NAME_GIVE, ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE), 0, SHN_UNDEF}},
    .code = {0x53,		      /* 0 push %rbx */
	0xe8, 0, 0, 0, 0,	      /* 1 call give@PLT */
	0x89, 0xc3,		      /* 6 mov %eax, %ebx */
	0xff, 0x15, 0, 0, 0, 0,	      /* 8 call *give@GOTPCREL(%rip) */
	0x01, 0xd8,		      /* 14 add %ebx, %eax */
	0x03, 0x05, 0, 0, 0, 0,	      /* 16 add numbers(%rip), %eax */
	0x48, 0x8b, 0x0d, 0, 0, 0, 0, /* 22 mov numbers+8(%rip), %rcx */
	0x03, 0x01,		      /* 29 add (%rcx), %eax */
	0x5b,			      /* 31 pop %rbx */
	0xc3},			      /* 32 ret */
    .numbers = {.all = {100, 1000}},
    .names = "\0kernel\0give",
};

static int given = 7;

static int give(void)
{
	return given++;
}

static const struct jit_symbol symbols[] = {{"give", (const void *)give}};
static const struct jit_machine machine = {symbols, ARRAY_SIZE(symbols)}, empty;
static char message[256];

static bool load(const void *bytes, size_t size, struct loaded *loaded)
{
	return object_load(bytes, size, "kernel", &machine, message, sizeof(message), loaded);
}

TEST(relocations)
{
	struct loaded loaded;

	CHECK(load(&object, sizeof(object), &loaded));
	CHECK_EQ(((int (*)(void))loaded.entry)(), 7 + 8 + 100 + 1000);
	CHECK_EQ(((int (*)(void))loaded.entry)(), 9 + 10 + 100 + 1000);
	object_unload(&loaded);
}

TEST(what_is_missing_is_named)
{
	struct loaded loaded;

	CHECK(!object_load(
	    &object, sizeof(object), "kernel", &empty, message, sizeof(message), &loaded));
	CHECK_STR(message, "there is no function give");
	CHECK(!object_load(
	    &object, sizeof(object), "colonel", &machine, message, sizeof(message), &loaded));
	CHECK_STR(message, "there is no colonel in it");
	/* A number is no function. */
	struct object other = object;
	other.symbols[SYMBOL_KERNEL].st_shndx = NUMBERS;
	CHECK(!load(&other, sizeof(other), &loaded));
	other = object;
	other.relocations[0].r_info = ELF64_R_INFO(SYMBOL_GIVE, R_X86_64_32);
	CHECK(!load(&other, sizeof(other), &loaded));
	CHECK_STR(message, "a relocation of type 10 is not one of compiled code");
}

TEST(objects_cut_short)
{
	struct loaded loaded;

	for (size_t size = 0; size < sizeof(object); size++) {
		void *bytes = malloc(size + !size); /* so that tools see what lies behind */

		memcpy(bytes, &object, size);
		if (load(bytes, size, &loaded)) {
			CHECK(size >= offsetof(struct object, names) + NAME_GIVE);
			object_unload(&loaded);
		}
		free(bytes);
	}
}

/* Some damage is to what nobody looks at, or to code. None makes the linker leave the object. */
TEST_LIMIT(damaged_objects, 120)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
	struct object *copy = malloc(sizeof(*copy));
	uint8_t *bytes = (uint8_t *)copy;
	unsigned refused = 0;
	struct loaded loaded;

	for (size_t at = 0; at < sizeof(object); at++)
		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			*copy = object;
			bytes[at] = values[i];
			if (load(copy, sizeof(*copy), &loaded))
				object_unload(&loaded);
			else
				refused++;
		}
	CHECK(refused > 100);
	free(copy);
}
