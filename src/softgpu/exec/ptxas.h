/*
 * For tests: NVIDIA's assembler as a second reader of their PTX, where it is installed. What it
 * refuses no program can contain.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "base/test.h"

/* Fails the test when there is a ptxas and it does not take the text for architecture ("sm_90"). */
static inline void ptxas_check(const char *text, const char *architecture)
{
	char command[256];
	FILE *pipe;

	if (system("command -v ptxas >/dev/null 2>&1"))
		return;
	snprintf(command, sizeof(command), "ptxas -arch=%s -w -o /dev/null /dev/stdin >&2",
	    architecture);
	pipe = popen(command, "w");
	CHECK(pipe);
	fputs(text, pipe);
	if (pclose(pipe))
		test_fail(__FILE__, __LINE__, "ptxas refuses for %s:\n%.2000s", architecture, text);
}
