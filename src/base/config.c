/*
 * The settings table at work. The shim calls config_init() and config_read_environment() inside
 * other people's processes; rosen and rosend also read the file and apply flags with config_set().
 */
#include "base/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "base/error.h"
#include "base/log.h"
#include "base/util.h"

#define SHOWN_MAX 100 /* bytes of a wrong value in a message */

const struct config_entry config_entries[] = {
#define ENTRY(name_, type_, standard_, flag_, help_, off_, only_)                                  \
	{.name = #name_,                                                                           \
	    .flag = flag_,                                                                         \
	    .standard = standard_,                                                                 \
	    .help = help_,                                                                         \
	    .off = off_,                                                                           \
	    .only = only_,                                                                         \
	    .type = CONFIG_##type_,                                                                \
	    .offset = offsetof(struct config, name_)},
#define CONFIG(name, type, standard, flag, help) ENTRY(name, type, standard, flag, help, NULL, NULL)
#define TRICK(name, type, standard, off, help)	 ENTRY(name, type, standard, NULL, help, off, NULL)
#define CHOICE(name, standard, words, flag, help)                                                  \
	ENTRY(name, TEXT, standard, flag, help, NULL, words)
#define RANGE(name, standard, range, flag, help)                                                   \
	ENTRY(name, NUMBER, standard, flag, help, NULL, range)
#include "base/config.def"
#undef CONFIG
};
const size_t config_n_entries = ARRAY_SIZE(config_entries);

/* range: "A to B", or "a power of two, A to B". */
static bool in_range(uint64_t number, const char *range)
{
	static const char power[] = "a power of two, ", to[] = " to ";
	uint64_t least = 0, most = 0;

	if (!strncmp(range, power, strlen(power))) {
		if (!number || number & (number - 1))
			return false;
		range += strlen(power);
	}
	range = size_read(range, &least);
	return range && !strncmp(range, to, strlen(to)) && size_read(range + strlen(to), &most) &&
	       number >= least && number <= most;
}

static int parse_number(const char *text, const char *range, uint64_t *out)
{
	uint64_t number;
	const char *end = size_read(text, &number);

	if (!end || *end || (range && !in_range(number, range)))
		return -EINVAL;
	*out = number;
	return 0;
}

/* Whether words, such as "auto, cuda, softgpu", name it. */
static bool is_among(const char *text, const char *words)
{
	size_t length = strlen(text);

	while (*words) {
		size_t size = strcspn(words, ",");
		if (size == length && !strncmp(words, text, length))
			return true;
		words += size;
		words += strspn(words, ", ");
	}
	return false;
}

static int parse_switch(const char *text, bool *out)
{
	static const char *const yes[] = {"yes", "1", "on", "true"}, *const no[] = {
									 "no", "0", "off", "false"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (!strcmp(text, yes[i]) || !strcmp(text, no[i])) {
			*out = !strcmp(text, yes[i]);
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_value(struct config *config, const struct config_entry *entry, const char *value)
{
	void *field = (char *)config + entry->offset;

	switch (entry->type) {
	case CONFIG_TEXT:
		if (strlen(value) >= CONFIG_TEXT_MAX ||
		    (entry->only && !is_among(value, entry->only)))
			return -EINVAL;
		strcpy(field, value);
		return 0;
	case CONFIG_NUMBER:
		return parse_number(value, entry->only, field);
	case CONFIG_SWITCH:
		return parse_switch(value, field);
	}
	return -EINVAL;
}

static int set_entry(struct config *config, const struct config_entry *entry, const char *value,
    enum config_source source)
{
	int r = parse_value(config, entry, value);

	if (r == 0)
		config->source[entry - config_entries] = (uint8_t)source;
	return r;
}

/* What to give in place of a wrong value. */
static const char *expected(const struct config_entry *entry)
{
	if (entry->only)
		return entry->only;
	switch (entry->type) {
	case CONFIG_TEXT:
		return "a text of at most 255 bytes";
	case CONFIG_NUMBER:
		return "a number, such as 20 or 64K";
	case CONFIG_SWITCH:
		return "yes or no";
	}
	return "a value";
}

/* name: of the entry, or its variable. */
static void explain(const struct config_entry *entry, const char *name, const char *value,
    char *error, size_t error_size)
{
	bool choice = entry->only && entry->type == CONFIG_TEXT;

	snprintf(error, error_size, "%s is \"%.*s%s\": give %s%s", name, SHOWN_MAX, value,
	    strlen(value) > SHOWN_MAX ? "..." : "", choice ? "one of " : "", expected(entry));
}

static int set_named(struct config *config, const char *name, const char *value,
    enum config_source source, char *error, size_t error_size)
{
	for (size_t i = 0; i < config_n_entries; i++) {
		const struct config_entry *entry = &config_entries[i];
		if (strcmp(entry->name, name))
			continue;
		if (set_entry(config, entry, value, source) == 0)
			return 0;
		explain(entry, name, value, error, error_size);
		return error_origin(-EINVAL);
	}
	snprintf(error, error_size, "there is no setting \"%.*s\": `man rosen.conf` lists them",
	    SHOWN_MAX, name);
	return error_origin(-ENOENT);
}

int config_set(
    struct config *config, const char *name, const char *value, char *error, size_t error_size)
{
	return set_named(config, name, value, CONFIG_FLAG, error, error_size);
}

void config_init(struct config *config)
{
	memset(config, 0, sizeof(*config));
	for (size_t i = 0; i < config_n_entries; i++)
		set_entry(config, &config_entries[i], config_entries[i].standard, CONFIG_STANDARD);
}

const char *config_variable(const struct config_entry *entry, char *buffer)
{
	size_t length = (size_t)snprintf(buffer, CONFIG_VARIABLE_MAX, "ROSEN_%s", entry->name);

	/* By hand: toupper() follows the locale of the program this may run in. */
	for (size_t k = 0; k < length && k < CONFIG_VARIABLE_MAX; k++)
		if (buffer[k] >= 'a' && buffer[k] <= 'z')
			buffer[k] = (char)(buffer[k] - 'a' + 'A');
	return buffer;
}

const char *config_source_name(enum config_source source)
{
	static const char *const names[] = {"standard", "file", "environment", "flag"};

	return (size_t)source < ARRAY_SIZE(names) ? names[source] : "?";
}

/* Applies the environment's value of one entry. -EINVAL: it is no value, and error says so. */
static int read_variable(
    struct config *config, const struct config_entry *entry, char *error, size_t error_size)
{
	char variable[CONFIG_VARIABLE_MAX];
	const char *value = getenv(config_variable(entry, variable));

	if (!value || set_entry(config, entry, value, CONFIG_ENVIRONMENT) == 0)
		return 0;
	explain(entry, variable, value, error, error_size);
	return -EINVAL;
}

void config_read_environment(struct config *config)
{
	char error[CONFIG_TEXT_MAX + 256];

	for (size_t i = 0; i < config_n_entries; i++)
		if (read_variable(config, &config_entries[i], error, sizeof(error)) < 0)
			log_warn("ignored: %s", error);
}

/* Cuts white space off both ends, in place. */
static char *trim(char *text)
{
	text += strspn(text, " \t\r\n");
	for (char *end = text + strlen(text); end > text && strchr(" \t\r\n", end[-1]); end--)
		end[-1] = '\0';
	return text;
}

/* What ROSEN_CONFIG names; NULL: nothing. */
static const char *given_file(void)
{
	const char *path = getenv("ROSEN_CONFIG");

	return path && *path ? path : NULL;
}

/* A user's folder that this process may not look into, as another user's is after su, is no mistake
 * of the file's. */
static FILE *open_standard_file(char *path, size_t size)
{
	const char *given = given_file(), *xdg = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");

	if (given) {
		snprintf(path, size, "%s", given);
		return fopen(path, "re");
	}
	if (xdg)
		snprintf(path, size, "%s/rosen/rosen.conf", xdg);
	else
		snprintf(path, size, "%s/.config/rosen/rosen.conf", home ?: "");
	FILE *file = fopen(path, "re");
	if (file)
		return file;
	if (errno == EACCES)
		log_warn("passed over the settings in %s: %s", path, strerror(errno));
	else if (errno != ENOENT && errno != ENOTDIR)
		return NULL;
	snprintf(path, size, "/etc/rosen/rosen.conf");
	return fopen(path, "re");
}

/* One line of a file: nothing, a comment, or "name = value". */
static int read_line(struct config *config, char *line, char *error, size_t error_size)
{
	char *text = trim(line), *equals = strchr(text, '=');

	if (!*text || *text == '#')
		return 0;
	if (!equals) {
		snprintf(
		    error, error_size, "\"%.*s\" is not of the form name = value", SHOWN_MAX, text);
		return error_origin(-EINVAL);
	}
	*equals = '\0';
	return error_trace(
	    set_named(config, trim(text), trim(equals + 1), CONFIG_FILE, error, error_size));
}

static int cannot_read(const char *name, int code, char *error, size_t error_size)
{
	snprintf(error, error_size,
	    "cannot read the settings file %s: %s: mend that, or name another file (ROSEN_CONFIG; "
	    "rosend: --config)",
	    name, strerror(code));
	return error_origin(-code);
}

static int read_lines(
    struct config *config, FILE *file, const char *name, char *error, size_t error_size)
{
	char *line = NULL, detail[384];
	size_t room = 0;
	int r = 0;

	for (unsigned number = 1; r == 0 && getline(&line, &room, file) >= 0; number++) {
		r = read_line(config, line, detail, sizeof(detail));
		if (r < 0)
			snprintf(error, error_size, "%s:%u: %s", name, number, detail);
	}
	free(line);
	if (r == 0 && ferror(file))
		return cannot_read(name, errno, error, error_size);
	return error_trace(r);
}

int config_read_file(struct config *config, const char *path, char *error, size_t error_size)
{
	char name[4096];

	snprintf(name, sizeof(name), "%s", path ?: "");
	FILE *file = path ? fopen(path, "re") : open_standard_file(name, sizeof(name));
	if (!file) {
		if (!path && !given_file() && (errno == ENOENT || errno == ENOTDIR))
			return 0;
		return cannot_read(name, errno, error, error_size);
	}
	int r = read_lines(config, file, name, error, error_size);
	fclose(file);
	return error_trace(r);
}

int config_load(struct config *config, const char *path, char *error, size_t error_size)
{
	config_init(config);
	int r = config_read_file(config, path, error, error_size);
	for (size_t i = 0; r == 0 && i < config_n_entries; i++)
		r = read_variable(config, &config_entries[i], error, error_size);
	return error_trace(r);
}

const char *config_show(const struct config *config, const struct config_entry *entry, char *buffer)
{
	const void *field = (const char *)config + entry->offset;

	switch (entry->type) {
	case CONFIG_TEXT:
		return strcpy(buffer, field);
	case CONFIG_NUMBER:
		snprintf(
		    buffer, CONFIG_TEXT_MAX, "%llu", (unsigned long long)*(const uint64_t *)field);
		return buffer;
	case CONFIG_SWITCH:
		return strcpy(buffer, *(const bool *)field ? "yes" : "no");
	}
	return NULL;
}
