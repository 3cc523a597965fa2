/* The check of one program: will the dynamic linker give it Rosen's libcuda.so.1? */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/binary.h"
#include "cli/doctor.h"

static void judge(struct doctor *doctor, const char *path, const struct binary_report *report)
{
	char why[BINARY_WHY_MAX];
	const char *mend;

	if (!report->is_elf)
		doctor_find(doctor, "program", FINDING_BAD, "check the name",
		    "%s is neither a program nor a script with a #! line", path);
	else if (binary_has_obstacle(report, why, &mend))
		doctor_find(doctor, "program", FINDING_BAD, mend, "%s %s", path, why);
	else
		doctor_find(doctor, "program", FINDING_GOOD, NULL, "%s can be run%s", path,
		    report->needs_cuda ? "; it is linked with libcuda.so.1" : "");
}

/* True, with its file and what that says, or a finding why not. */
static bool look_at(
    struct doctor *doctor, const char *program, char *path, struct binary_report *report)
{
	if (!binary_find(program, X_OK, path, INSTALL_PATH_MAX)) {
		doctor_find(doctor, "program", FINDING_BAD, "check the name and PATH",
		    "\"%s\": no such program", program);
		return false;
	}
	int r = access(path, X_OK) < 0 ? -errno : binary_inspect(path, report);
	if (r < 0)
		doctor_find(doctor, "program", FINDING_BAD,
		    r == -EISDIR
			? "name a program in it"
			: "check the name, and make it readable and executable (chmod +rx)",
		    "%s: %s", path, strerror(-r));
	return r == 0;
}

void doctor_check_program(struct doctor *doctor, const char *program)
{
	char path[INSTALL_PATH_MAX];
	struct binary_report report;

	if (!look_at(doctor, program, path, &report))
		return;
	if (report.is_script) {
		char script[INSTALL_PATH_MAX], interpreter[BINARY_PATHS_MAX];
		memcpy(script, path, sizeof(script));
		memcpy(interpreter, report.interpreter, sizeof(interpreter));
		doctor_find(doctor, "program", FINDING_GOOD, NULL,
		    "%.200s is a script for %.200s, which is what counts", script, interpreter);
		/* One step: the interpreter may be a script again, whose choice is its own. */
		if (!look_at(doctor, interpreter, path, &report) || report.is_script)
			return;
	}
	judge(doctor, path, &report);
}
