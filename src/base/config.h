/*
 * Settings, one table for file, environment and flags: config.def. A loaded struct config is
 * constant and may be read from any thread; it owns its strings.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_TEXT_MAX	 256
#define CONFIG_ERROR_MAX 1024 /* room for any message of this module */

/* Where a value came from; a later one wins. */
enum config_source { CONFIG_STANDARD, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_FLAG };

enum config_row {
#define CONFIG(name, type, standard, flag, help) CONFIG_ROW_##name,
#include "base/config.def"
#undef CONFIG
	CONFIG_N_ROWS,
};

struct config {
	uint8_t source[CONFIG_N_ROWS]; /* enum config_source, in the order of config_entries */
#define CONFIG_FIELD_TEXT(name)			 char name[CONFIG_TEXT_MAX];
#define CONFIG_FIELD_NUMBER(name)		 uint64_t name;
#define CONFIG_FIELD_SWITCH(name)		 bool name;
#define CONFIG(name, type, standard, flag, help) CONFIG_FIELD_##type(name)
#include "base/config.def"
#undef CONFIG
#undef CONFIG_FIELD_TEXT
#undef CONFIG_FIELD_NUMBER
#undef CONFIG_FIELD_SWITCH
};

enum config_type { CONFIG_TEXT, CONFIG_NUMBER, CONFIG_SWITCH };

struct config_entry {
	const char *name, *flag, *standard, *help;
	const char *off;  /* the value that does without a trick; NULL: it is none */
	const char *only; /* a text's words, a number's range; NULL: all of the type */
	enum config_type type;
	size_t offset; /* of the field in struct config */
};

extern const struct config_entry config_entries[];
extern const size_t config_n_entries;

/* The built-in values. */
void config_init(struct config *config);

/*
 * Applies ROSEN_* of the environment; a bad value is logged as a warning and skipped, since this
 * also runs inside other people's programs. Allocates nothing.
 */
void config_read_environment(struct config *config);

/*
 * Applies a file. path NULL: $ROSEN_CONFIG, else $XDG_CONFIG_HOME/rosen/rosen.conf (or ~/.config),
 * else /etc/rosen/rosen.conf; none of them existing is fine. Bad lines: -EINVAL or -ENOENT; a file
 * that cannot be read: what errno was. error says file, line and mend.
 */
int config_read_file(struct config *config, const char *path, char *error, size_t error_size);

/*
 * What rosen and rosend start with: the built-in values, then the file (path as above), then the
 * environment, in which a bad value is an error here. Errors as config_read_file().
 */
int config_load(struct config *config, const char *path, char *error, size_t error_size);

/* Sets one entry from text, as a flag does. -ENOENT: no such entry; -EINVAL: not a value of its
 * type, or not an allowed one; error says so. */
int config_set(
    struct config *config, const char *name, const char *value, char *error, size_t error_size);

/* The environment variable of an entry, ROSEN_NAME, in buffer (CONFIG_VARIABLE_MAX bytes). */
#define CONFIG_VARIABLE_MAX 64
const char *config_variable(const struct config_entry *entry, char *buffer);

const char *config_source_name(enum config_source source);

/* The entry's present value as text, in buffer (CONFIG_TEXT_MAX bytes). Returns buffer. */
const char *config_show(
    const struct config *config, const struct config_entry *entry, char *buffer);
