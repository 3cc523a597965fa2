/* Only the files of one process go. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/test.h"
#include "control/driver_files.h"

static bool there(const char *folder, const char *name, bool make)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (make)
		close(open(path, O_CREAT | O_WRONLY, 0600));
	return access(path, F_OK) == 0;
}

TEST(only_the_files_of_one_process_go)
{
	char folder[] = "/tmp/rosen-driver-files-XXXXXX", names[4][64];
	unsigned uid = getuid();

	CHECK(mkdtemp(folder));
	snprintf(names[0], 64, "cuda.shm.%x.2140.1", uid);
	snprintf(names[1], 64, "cuda.shm.%x.2140.2", uid);
	snprintf(names[2], 64, "cuda.shm.%x.21401.1", uid);
	snprintf(names[3], 64, "cuda.shm.%x.2140.1", uid + 1);
	for (int i = 0; i < 4; i++)
		CHECK(there(folder, names[i], true));
	driver_files_remove(folder, 0x2140);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(there(folder, names[i], false), i >= 2);
	driver_files_remove("/nowhere", 1);
	for (int i = 2; i < 4; i++) {
		char path[512];
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	CHECK_EQ(rmdir(folder), 0);
}
