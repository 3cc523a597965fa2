/*
 * Fuzz target: a settings file. What is taken from it must be values that the settings' own check
 * takes again; what is refused must be told with file and line, or as a file that cannot be read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_values(const struct config *config)
{
	char text[CONFIG_TEXT_MAX], error[CONFIG_ERROR_MAX];
	struct config again;

	config_init(&again);
	for (size_t i = 0; i < config_n_entries; i++) {
		const struct config_entry *entry = &config_entries[i];
		if (config_set(&again, entry->name, config_show(config, entry, text), error,
			sizeof(error)) < 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64], place[80], error[CONFIG_ERROR_MAX] = "";
	int fd = memfd_create("fuzz-config", MFD_CLOEXEC);
	struct config config;

	log_set_level(LOG_ERROR);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	snprintf(place, sizeof(place), "%s:", path);
	config_init(&config);
	if (config_read_file(&config, path, error, sizeof(error)) < 0 &&
	    strncmp(error, place, strlen(place)))
		abort();
	check_values(&config);
	close(fd);
	return 0;
}
