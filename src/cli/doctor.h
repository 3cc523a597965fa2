/*
 * The parts of `rosen doctor`. A check appends findings: what was looked at, how it is, and, where
 * something is wrong, the command or step that mends it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"
#include "base/install.h"
#include "base/util.h"
#include "cli/server.h"

enum finding_state {
	FINDING_GOOD,
	FINDING_NOTE, /* works, but one should know */
	FINDING_BAD,
};

#define FINDING_TEXT_MAX 512
#define FINDINGS_MAX	 256

struct finding {
	const char *what; /* a constant: "worker", "driver" */
	enum finding_state state;
	char text[FINDING_TEXT_MAX];
	char mend[FINDING_TEXT_MAX]; /* empty: nothing to mend */
};

struct doctor {
	const struct config *config;
	struct install install;
	bool has_gpu; /* doctor_check_nvidia() found one that can be used */
	struct finding findings[FINDINGS_MAX];
	size_t n_findings;
};

/* mend NULL: nothing to mend. */
void doctor_find(struct doctor *doctor, const char *what, enum finding_state state,
    const char *mend, const char *format, ...) _printf_(5, 6);

/* doctor-host.c: this machine and this tree. */
void doctor_check_tree(struct doctor *doctor);
void doctor_check_kernel(struct doctor *doctor);
void doctor_check_environment(struct doctor *doctor);
void doctor_check_nvidia(struct doctor *doctor);
void doctor_check_compiler(struct doctor *doctor);

/* doctor-server.c: rosend and what its workers find. */
void doctor_check_server(struct doctor *doctor);

/* doctor-path.c: a program of ours at work on a backend that has a device. */
void doctor_check_path(struct doctor *doctor, const struct server_use *use, const char *backend);

/* doctor-program.c: a program someone wants to run. */
void doctor_check_program(struct doctor *doctor, const char *program);
