/* Settings: precedence and sources, wrong files, and the manual, which must tell the truth. */
#include <errno.h>
#include <unistd.h>

#include "base/config.h"
#include "base/dir.h"
#include "base/test.h"

static const struct config_entry *entry_named(const char *name)
{
	for (size_t i = 0; i < config_n_entries; i++)
		if (!strcmp(config_entries[i].name, name))
			return &config_entries[i];
	test_fail(__FILE__, __LINE__, "no setting %s", name);
}

static const char *source_of(const struct config *config, const char *name)
{
	return config_source_name(
	    (enum config_source)config->source[entry_named(name) - config_entries]);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

TEST(a_later_source_wins)
{
	char folder[64], path[96], error[512];
	struct config config;

	CHECK_EQ(dir_make_temporary("rosen-test", folder, sizeof(folder)), 0);
	snprintf(path, sizeof(path), "%s/rosen.conf", folder);
	write_file(path, "# a comment\n\n backend = softgpu \nlanes=8\nspin_us = 5\n");
	setenv("ROSEN_LANES", "16", 1);
	setenv("ROSEN_SPIN_US", "6", 1);
	CHECK_EQ(config_load(&config, path, error, sizeof(error)), 0);
	CHECK_EQ(config_set(&config, "spin_us", "7", error, sizeof(error)), 0);
	CHECK_STR(config.backend, "softgpu");
	CHECK_EQ(config.lanes, 16);
	CHECK_EQ(config.spin_us, 7);
	CHECK_STR(source_of(&config, "log"), "standard");
	CHECK_STR(source_of(&config, "backend"), "file");
	CHECK_STR(source_of(&config, "lanes"), "environment");
	CHECK_STR(source_of(&config, "spin_us"), "flag");
	CHECK_EQ(dir_remove(folder), 0);
}

TEST(tricks_can_be_switched_off)
{
	char error[512], value[CONFIG_TEXT_MAX];
	struct config config;
	unsigned tricks = 0;

	config_init(&config);
	for (size_t i = 0; i < config_n_entries; i++) {
		const struct config_entry *entry = &config_entries[i];
		if (!entry->off)
			continue;
		tricks++;
		CHECK(strcmp(entry->off, entry->standard));
		CHECK_EQ(config_set(&config, entry->name, entry->off, error, sizeof(error)), 0);
		CHECK_STR(config_show(&config, entry, value), entry->off);
	}
	CHECK(tricks >= 9);
	CHECK(config.sync && !config.cache && !config.known_idle && !config.spin_us);
}

static int set(const char *name, const char *value, char *error, size_t size)
{
	struct config config;

	config_init(&config);
	return config_set(&config, name, value, error, size);
}

TEST(only_allowed_values_are_taken)
{
	static const char *const good[][2] = {{"lanes", "1"}, {"lanes", "4096"},
	    {"ring_size", "64K"}, {"ring_size", "0x4000000"}, {"staging_size", "1G"},
	    {"backend", "softgpu"}, {"backend", "auto"}, {"log", "debug"}, {"spin_us", "0"},
	    {"server", "anything, really"}};
	static const char *const bad[][2] = {{"lanes", "0"}, {"lanes", "4097"},
	    {"ring_size", "96K"}, {"ring_size", "0"}, {"ring_size", "128M"}, {"staging_size", "1K"},
	    {"staging_size", "32Q"}, {"backend", "gpu"}, {"backend", "auto, cuda"}, {"backend", ""},
	    {"log", "warning"}, {"spin_us", "20 us"}, {"spin_us", "99999999999999999999"},
	    {"session_bulk_limit", "17179869184G"}};
	char error[512];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		CHECK_EQ(set(good[i][0], good[i][1], error, sizeof(error)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_EQ(set(bad[i][0], bad[i][1], error, sizeof(error)), -EINVAL);
	set("lanes", "0", error, sizeof(error));
	CHECK_STR(error, "lanes is \"0\": give 1 to 4096");
	set("backend", "gpu", error, sizeof(error));
	CHECK_STR(error, "backend is \"gpu\": give one of auto, cuda, softgpu");
}

TEST(limits_stand_in_the_help)
{
	for (size_t i = 0; i < config_n_entries; i++)
		if (config_entries[i].only)
			CHECK(strstr(config_entries[i].help, config_entries[i].only));
}

/* rosen and rosend end over a wrong variable; inside a program it must do no harm. */
TEST(wrong_variables_are_named_or_ignored)
{
	char error[512];
	struct config config;

	setenv("ROSEN_CONFIG", "/dev/null", 1);
	setenv("ROSEN_LANES", "none", 1);
	CHECK_EQ(config_load(&config, NULL, error, sizeof(error)), -EINVAL);
	CHECK_STR(error, "ROSEN_LANES is \"none\": give 1 to 4096");
	config_init(&config);
	config_read_environment(&config);
	CHECK_EQ(config.lanes, 1024);
}

TEST(long_values_do_not_hide_what_to_do)
{
	char error[512], value[5000];

	snprintf(value, sizeof(value), "%04000d", 0);
	CHECK_EQ(set("server", value, error, sizeof(error)), -EINVAL);
	CHECK(strstr(error, "000...\": give a text of at most 255 bytes"));
	CHECK_EQ(set(value, "1", error, sizeof(error)), -ENOENT);
	CHECK(strstr(error, "`man rosen.conf` lists them"));
}

TEST(wrong_lines_are_named)
{
	char folder[64], path[96], error[512];
	struct config config;

	CHECK_EQ(dir_make_temporary("rosen-test", folder, sizeof(folder)), 0);
	snprintf(path, sizeof(path), "%s/rosen.conf", folder);
	write_file(path, "lanes = 8\nlanes = many\n");
	CHECK_EQ(config_load(&config, path, error, sizeof(error)), -EINVAL);
	CHECK(strstr(error, "rosen.conf:2: lanes is \"many\""));
	write_file(path, "backend softgpu\n");
	CHECK_EQ(config_load(&config, path, error, sizeof(error)), -EINVAL);
	CHECK(strstr(error, "rosen.conf:1:"));
	write_file(path, "beckend = softgpu\n");
	CHECK_EQ(config_load(&config, path, error, sizeof(error)), -ENOENT);
	CHECK(strstr(error, "no setting \"beckend\""));
	CHECK_EQ(dir_remove(folder), 0);
	CHECK_EQ(config_load(&config, path, error, sizeof(error)), -ENOENT);
	CHECK(strstr(error, "cannot read the settings file"));
	CHECK_EQ(config_load(&config, "/", error, sizeof(error)), -EISDIR);
	CHECK(strstr(error, "settings file /: Is a directory"));
}

/* A comment is as long as one likes; none of it is taken for a setting. */
TEST(long_lines_are_one_line)
{
	char folder[64], path[96], error[512], text[8192] = "#";
	struct config config;

	CHECK_EQ(dir_make_temporary("rosen-test", folder, sizeof(folder)), 0);
	snprintf(path, sizeof(path), "%s/rosen.conf", folder);
	while (strlen(text) < 5000)
		strcat(text, " lanes = 8");
	write_file(path, strcat(text, "\nspin_us = 7\n"));
	CHECK_EQ(config_load(&config, path, error, sizeof(error)), 0);
	CHECK_EQ(config.lanes, 1024);
	CHECK_EQ(config.spin_us, 7);
	CHECK_EQ(dir_remove(folder), 0);
}

/* Of the user's own place and the host's the first that is there is read. */
TEST(users_file_comes_before_the_hosts)
{
	char folder[64], path[96], error[512];
	struct config config;

	CHECK_EQ(dir_make_temporary("rosen-test", folder, sizeof(folder)), 0);
	setenv("ROSEN_CONFIG", "", 1); /* as good as none */
	setenv("XDG_CONFIG_HOME", folder, 1);
	snprintf(path, sizeof(path), "%s/rosen", folder);
	CHECK_EQ(dir_make_private(path), 0);
	snprintf(path, sizeof(path), "%s/rosen/rosen.conf", folder);
	write_file(path, "spin_us = 7\n");
	CHECK_EQ(config_load(&config, NULL, error, sizeof(error)), 0);
	CHECK_EQ(config.spin_us, 7);
	CHECK_EQ(unlink(path), 0);
	CHECK_EQ(dir_make_private(path), 0);
	CHECK_EQ(config_load(&config, NULL, error, sizeof(error)), -EISDIR);
	CHECK_EQ(dir_remove(folder), 0);
}

TEST(variables_are_upper_case)
{
	char variable[CONFIG_VARIABLE_MAX];

	CHECK_STR(config_variable(entry_named("spin_us"), variable), "ROSEN_SPIN_US");
}

TEST(standard_values_are_valid)
{
	struct config config;
	char error[512];

	config_init(&config);
	for (size_t i = 0; i < config_n_entries; i++)
		CHECK_EQ(config_set(&config, config_entries[i].name, config_entries[i].standard,
			     error, sizeof(error)),
		    0);
}

static char *read_manual(void)
{
	const char *path = getenv("TEST_MANUAL");
	FILE *file = path ? fopen(path, "r") : NULL;
	char *text = calloc(1, 1 << 16);

	if (!file)
		SKIP("run it through the build: TEST_MANUAL is not set");
	CHECK(text && fread(text, 1, (1 << 16) - 1, file) > 0);
	fclose(file);
	return text;
}

/* Compares two texts, all white space being one blank. Ends at the end of wanted. */
static bool says(const char *got, const char *wanted)
{
	while (*wanted) {
		if (strchr(" \t\n", *wanted)) {
			if (!strchr(" \t\n", *got))
				return false;
			got += strspn(got, " \t\n");
			wanted += strspn(wanted, " \t\n");
		} else if (*got++ != *wanted++) {
			return false;
		}
	}
	return true;
}

TEST(manual_describes_every_setting)
{
	static const char *const types[] = {
	    [CONFIG_TEXT] = "text", [CONFIG_NUMBER] = "number", [CONFIG_SWITCH] = "switch"};
	char *manual = read_manual();
	size_t n_described = 0;

	for (size_t i = 0; i < config_n_entries; i++) {
		const struct config_entry *entry = &config_entries[i];
		char heading[512];
		snprintf(heading, sizeof(heading), "\n*%s* = _%s_, standard \"%s\"\n\t",
		    entry->name, types[entry->type], entry->standard);
		const char *at = strstr(manual, heading);
		if (!at)
			test_fail(__FILE__, __LINE__, "rosen.conf(5) lacks: %s", heading + 1);
		if (!says(at + strlen(heading), entry->help))
			test_fail(__FILE__, __LINE__, "rosen.conf(5) says of %s other than: %s",
			    entry->name, entry->help);
	}
	for (const char *at = strstr(manual, "\n*"); at; at = strstr(at + 1, "\n*"))
		n_described += strcspn(at + 1, "\n") > strcspn(at + 1, "=");
	CHECK_EQ(n_described, config_n_entries);
	free(manual);
}
