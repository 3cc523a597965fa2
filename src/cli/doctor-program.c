/* The check of one program: will the dynamic linker give it Rosen's libcuda.so.1? */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/binary.h"
#include "cli/doctor.h"

/* The first folder of a DT_RPATH that holds a libcuda.so.1; $ORIGIN is not followed. */
static bool rpath_hides_rosen(const char *rpath, char *folder, size_t size)
{
	while (*rpath) {
		char path[BINARY_PATHS_MAX + 16];
		size_t length = strcspn(rpath, ":");
		snprintf(folder, size, "%.*s", (int)length, rpath);
		snprintf(path, sizeof(path), "%s/libcuda.so.1", folder);
		if (access(path, F_OK) == 0)
			return true;
		rpath += length;
		rpath += *rpath == ':';
	}
	return false;
}

static void judge(struct doctor *doctor, const char *path, const struct binary_report *report)
{
	char folder[BINARY_PATHS_MAX];

	if (!report->is_elf)
		doctor_find(doctor, "program", FINDING_GOOD, NULL,
		    "%s is a script: what counts is its interpreter", path);
	else if (!report->is_64 || !report->x86)
		doctor_find(doctor, "program", FINDING_BAD, "use a build for x86-64 Linux",
		    "%s is not for 64-bit x86", path);
	else if (report->is_static)
		doctor_find(doctor, "program", FINDING_BAD,
		    "link it dynamically against the C library (-cudart static is fine, -static is "
		    "not)",
		    "%s is linked statically: no library can take the place of CUDA's driver",
		    path);
	else if (report->privileged)
		doctor_find(doctor, "program", FINDING_BAD,
		    "run a copy without the set-user-id bit or capabilities",
		    "%s is privileged: the dynamic linker ignores LD_LIBRARY_PATH", path);
	else if (rpath_hides_rosen(report->rpath, folder, sizeof(folder)))
		doctor_find(doctor, "program", FINDING_BAD,
		    "remove it (patchelf --remove-rpath), or move the libcuda.so.1 there away",
		    "%s has the RPATH %s, which comes before Rosen's library", path, folder);
	else
		doctor_find(doctor, "program", FINDING_GOOD, NULL, "%s can be run%s", path,
		    report->needs_cuda ? "; it is linked with libcuda.so.1" : "");
}

void doctor_check_program(struct doctor *doctor, const char *program)
{
	char path[INSTALL_PATH_MAX];
	struct binary_report report;

	if (!binary_find(program, X_OK, path, sizeof(path))) {
		doctor_find(doctor, "program", FINDING_BAD, "check the name and PATH",
		    "%s: no such program", program);
		return;
	}
	int r = binary_inspect(path, &report);
	if (r < 0)
		doctor_find(doctor, "program", FINDING_BAD, "check its permissions", "%s: %s", path,
		    strerror(-r));
	else
		judge(doctor, path, &report);
}
