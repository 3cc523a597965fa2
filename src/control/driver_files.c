/* One look through a folder per worker that ends; a worker's end takes milliseconds anyway. */
#include "control/driver_files.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void driver_files_remove(const char *folder, pid_t pid)
{
	char prefix[64];
	struct dirent *entry;
	DIR *all = opendir(folder);

	if (!all)
		return;
	snprintf(prefix, sizeof(prefix), "cuda.shm.%x.%x.", (unsigned)getuid(), (unsigned)pid);
	while ((entry = readdir(all)))
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			unlinkat(dirfd(all), entry->d_name, 0);
	closedir(all);
}
