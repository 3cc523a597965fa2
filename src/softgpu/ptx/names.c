/*
 * Looking up PTX's words. Each list of names.h becomes one hash table, built by the first parser of
 * the process and only read afterwards; a parse looks up several words per instruction, and modules
 * of a megabyte are ordinary.
 */
#include "softgpu/ptx/names.h"

#include <pthread.h>
#include <string.h>

#include "softgpu/ptx/ptx.h"

#define TABLE_SIZE 1024 /* a power of two, several times the longest list */

struct word_table {
	const char *words[TABLE_SIZE];
	uint16_t values[TABLE_SIZE];
};

static struct word_table types, modifiers, specials, opcodes;
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

#define TYPE_WORD(name, bits, class) [PTX_TYPE_##name] = #name,
static const char *const type_words[PTX_TYPE_COUNT] = {PTX_TYPES(TYPE_WORD)};
#define TYPE_BITS(name, bits, class) [PTX_TYPE_##name] = bits,
static const uint8_t type_bits[PTX_TYPE_COUNT] = {PTX_TYPES(TYPE_BITS)};
#define TYPE_CLASS(name, bits, class) [PTX_TYPE_##name] = #class[0],
static const char type_classes[PTX_TYPE_COUNT] = {PTX_TYPES(TYPE_CLASS)};
#define MODIFIER_WORD(name, spelling) [PTX_MODIFIER_##name] = spelling,
static const char *const modifier_words[PTX_MODIFIER_COUNT] = {PTX_MODIFIERS(MODIFIER_WORD)};
#define SPECIAL_WORD(name, spelling, type) [PTX_SPECIAL_##name] = spelling,
static const char *const special_words[PTX_SPECIAL_COUNT] = {PTX_SPECIALS(SPECIAL_WORD)};
#define SPECIAL_TYPE(name, spelling, type) [PTX_SPECIAL_##name] = PTX_TYPE_##type,
static const uint8_t special_types[PTX_SPECIAL_COUNT] = {PTX_SPECIALS(SPECIAL_TYPE)};
#define OPCODE_ROW(name, fewest, most, facts, emitter)                                             \
	[PTX_OP_##name] = {#name, fewest, most, facts},
static const struct ptx_opcode_info opcode_infos[PTX_OP_COUNT] = {PTX_OPCODES(OPCODE_ROW)};

static uint32_t hash(const char *word, size_t size)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < size; i++)
		h = (h ^ (unsigned char)word[i]) * 16777619u;
	return h ^ h >> 15;
}

static void table_add(struct word_table *table, const char *word, uint16_t value)
{
	uint32_t at = hash(word, strlen(word)) % TABLE_SIZE;

	while (table->words[at])
		at = (at + 1) % TABLE_SIZE;
	table->words[at] = word;
	table->values[at] = value;
}

static int table_find(const struct word_table *table, const char *word, size_t size)
{
	for (uint32_t at = hash(word, size) % TABLE_SIZE; table->words[at];
	    at = (at + 1) % TABLE_SIZE)
		if (!strncmp(table->words[at], word, size) && !table->words[at][size])
			return table->values[at];
	return -1;
}

static void tables_build(void)
{
	for (uint16_t i = PTX_TYPE_NONE + 1; i < PTX_TYPE_COUNT; i++)
		table_add(&types, type_words[i], i);
	for (uint16_t i = 0; i < PTX_MODIFIER_COUNT; i++)
		table_add(&modifiers, modifier_words[i], i);
	for (uint16_t i = 0; i < PTX_SPECIAL_COUNT; i++)
		table_add(&specials, special_words[i], i);
	for (uint16_t i = PTX_OP_label + 1; i < PTX_OP_COUNT; i++)
		table_add(&opcodes, opcode_infos[i].name, i);
}

int ptx_type_find(const char *word, size_t size)
{
	pthread_once(&tables_once, tables_build);
	return table_find(&types, word, size);
}

int ptx_modifier_find(const char *word, size_t size)
{
	pthread_once(&tables_once, tables_build);
	return table_find(&modifiers, word, size);
}

int ptx_opcode_find(const char *word, size_t size)
{
	pthread_once(&tables_once, tables_build);
	return table_find(&opcodes, word, size);
}

int ptx_special_find(const char *word, size_t size, uint32_t *number)
{
	static const char envreg[] = "%envreg";
	const size_t stem = sizeof(envreg) - 1;

	*number = 0;
	if (size > stem && size <= stem + 2 && !strncmp(word, envreg, stem)) {
		for (size_t i = stem; i < size; i++)
			*number = *number * 10 + (uint32_t)(word[i] - '0');
		return *number < 32 ? PTX_SPECIAL_envreg : -1;
	}
	pthread_once(&tables_once, tables_build);
	return table_find(&specials, word, size);
}

enum ptx_type ptx_special_type(enum ptx_special special)
{
	return special_types[special];
}

const struct ptx_opcode_info *ptx_opcode_info(enum ptx_opcode opcode)
{
	return &opcode_infos[opcode];
}

unsigned ptx_type_bits(enum ptx_type type)
{
	return type == PTX_TYPE_pred ? 0 : type_bits[type];
}

const char *ptx_type_name(enum ptx_type type)
{
	return type_words[type] ?: "none";
}

bool ptx_type_is_float(enum ptx_type type)
{
	return type_classes[type] == 'f';
}

bool ptx_type_is_signed(enum ptx_type type)
{
	return type_classes[type] == 's';
}
