/* Finding a program, and what the dynamic linker will make of it, read from the file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Where execvp() would find name: itself when it holds a slash, else the first file in PATH, no
 * folder, that access(2) allows mode (F_OK, X_OK) for. False: nowhere.
 */
bool binary_find(const char *name, int mode, char *path, size_t size);

#define BINARY_PATHS_MAX 1024
#define BINARY_WHY_MAX	 320

struct binary_report {
	bool is_elf;	 /* otherwise a script or something else */
	bool is_script;	 /* begins with #! */
	bool is_64, x86; /* of the kind of machine Rosen is for */
	bool is_static;	 /* no dynamic linker takes part */
	bool privileged; /* would get other rights than this process: LD_LIBRARY_PATH is ignored */
	bool needs_cuda; /* names libcuda.so.1 itself (others open it while they run) */
	/* What runs it: the dynamic linker, or what a script's first line names; empty: nothing. */
	char interpreter[BINARY_PATHS_MAX];
	/* DT_RPATH, which comes before LD_LIBRARY_PATH; empty: none. */
	char rpath[BINARY_PATHS_MAX];
};

/* The file's 64-bit little-endian header, program headers and dynamic section; every offset is
 * checked against the file. 0 or a negative errno. */
int binary_inspect(const char *path, struct binary_report *out);

/*
 * Whether something keeps the dynamic linker from giving an ELF program Rosen's libcuda.so.1. why
 * (BINARY_WHY_MAX bytes) goes behind the program's name: "is linked statically: ..."; mend says
 * what to do.
 */
bool binary_has_obstacle(const struct binary_report *report, char *why, const char **mend);
