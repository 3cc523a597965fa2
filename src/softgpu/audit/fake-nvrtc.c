/* NVRTC for the test: its PTX names the options it got, its machine code is one word. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int nvrtcCreateProgram(void **program, const char *source, const char *name, int n_headers,
    const char *const *headers, const char *const *names);
EXPORT int nvrtcCompileProgram(char *program, int n, const char *const *options);
EXPORT int nvrtcGetPTXSize(const char *program, size_t *size);
EXPORT int nvrtcGetPTX(const char *program, char *to);
EXPORT int nvrtcGetCUBINSize(const char *program, size_t *size);
EXPORT int nvrtcGetCUBIN(const char *program, char *to);
EXPORT int nvrtcDestroyProgram(void **program);
EXPORT int nvrtcGetNumSupportedArchs(int *n);
EXPORT int nvrtcGetSupportedArchs(int *all);

int nvrtcCreateProgram(void **program, const char *source, const char *name, int n_headers,
    const char *const *headers, const char *const *names)
{
	*program = calloc(1, 256);
	return *program ? 0 : 1;
}

int nvrtcCompileProgram(char *program, int n, const char *const *options)
{
	strcpy(program, ".version 8.0\n.target sm_75\n//");
	for (int i = 0; i < n; i++)
		snprintf(program + strlen(program), 256 - strlen(program), " %s", options[i]);
	return 0;
}

int nvrtcGetPTXSize(const char *program, size_t *size)
{
	*size = strlen(program) + 1;
	return 0;
}

int nvrtcGetPTX(const char *program, char *to)
{
	strcpy(to, program);
	return 0;
}

int nvrtcGetCUBINSize(const char *program, size_t *size)
{
	*size = 7;
	return 0;
}

int nvrtcGetCUBIN(const char *program, char *to)
{
	memcpy(to, "machine", 7);
	return 0;
}

int nvrtcDestroyProgram(void **program)
{
	free(*program);
	*program = NULL;
	return 0;
}

int nvrtcGetNumSupportedArchs(int *n)
{
	*n = 3;
	return 0;
}

int nvrtcGetSupportedArchs(int *all)
{
	memcpy(all, (int[]){75, 121, 120}, 3 * sizeof(int));
	return 0;
}
