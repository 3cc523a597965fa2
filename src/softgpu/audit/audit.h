/*
 * What stands between programs on the software GPU and NVIDIA's closed libraries in them.
 *
 * NVIDIA's compilers (NVRTC, nvJitLink) make machine code, which no CPU runs, of PTX that they had
 * in hand: here they are made to give that PTX, packed as an image of the software GPU
 * (softgpu/image/image.h), where the caller asks for machine code. NVIDIA's other libraries are
 * told of a device later than they know, for which they choose PTX.
 *
 * audit.c is what the dynamic linker calls; it hands the functions below to whoever binds to those
 * of the same name. They run in any thread of the program, beside a C library of their own (see
 * rtld-audit(7)).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "softgpu/image/image.h"

struct audit_function {
	const char *name; /* as NVIDIA's header has it */
	void *function;
	void **real; /* gets the address of its own when somebody binds to it; may be NULL */
};

/* One of NVIDIA's libraries. Ends with a function without name. */
struct audit_library {
	const char *file; /* how its file's name begins */
	const struct audit_function *functions;
	bool is_for_clients;  /* only NVIDIA's libraries get them, not the program */
	void *_Atomic map;    /* the dynamic linker's, while it is loaded */
	void *_Atomic handle; /* for dlsym(), once one of its own functions was needed */
};

extern struct audit_library nvrtc_library, nvjitlink_library, libcuda_library, libcudart_library,
    libc_library;

/* The library's own function. Ends the process with a message if it has none of that name: no
 * version since CUDA 12.0 lacks one that is asked for. */
void *audit_real(struct audit_library *library, const char *name);

#define REAL(library, name, ...) ((int (*)(__VA_ARGS__))audit_real(&(library), name))

/*
 * What stands behind the "=" of -arch: "sm_120a" is {true, 120, "a"}, "compute_90" {false, 90, ""}.
 * False: neither.
 */
struct audit_target {
	bool is_machine_code;
	int number;
	char suffix[4];
};

bool audit_target_read(const char *text, struct audit_target *target);

/* Not beyond newest: a device later than the compiler runs what is for the newest it knows. */
void audit_target_limit(struct audit_target *target, int newest);

/* Text that ends at size or at a NUL before it, without one. */
struct sg_text audit_text(const char *text, size_t size);
