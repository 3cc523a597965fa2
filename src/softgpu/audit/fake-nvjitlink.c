/* nvJitLink for the test: PTX that names the options and the inputs it got, if asked for PTX. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

struct fake {
	char text[256];
	int gives_ptx;
};

EXPORT int nvJitLinkCreate(struct fake **link, uint32_t n, const char **options);
EXPORT int nvJitLinkDestroy(struct fake **link);
EXPORT int nvJitLinkAddData(
    struct fake *link, int type, const char *data, size_t size, const char *name);
EXPORT int nvJitLinkComplete(struct fake *link);
EXPORT int nvJitLinkGetLinkedPtxSize(struct fake *link, size_t *size);
EXPORT int nvJitLinkGetLinkedPtx(struct fake *link, char *to);
EXPORT int nvJitLinkGetLinkedCubinSize(struct fake *link, size_t *size);
EXPORT int nvJitLinkGetLinkedCubin(struct fake *link, void *to);
/* As the library's header calls it. */
EXPORT int __nvJitLinkComplete_13_0(struct fake *link);

static void note(struct fake *link, const char *word, size_t size)
{
	size_t used = strlen(link->text);

	snprintf(link->text + used, sizeof(link->text) - used, " %.*s", (int)size, word);
}

int nvJitLinkCreate(struct fake **link, uint32_t n, const char **options)
{
	*link = calloc(1, sizeof(**link));
	if (!*link)
		return 6;
	strcpy((*link)->text, ".version 8.0\n.target sm_75\n//");
	for (uint32_t i = 0; i < n; i++) {
		note(*link, options[i], strlen(options[i]));
		(*link)->gives_ptx |= !strcmp(options[i], "-ptx");
	}
	return 0;
}

int nvJitLinkDestroy(struct fake **link)
{
	free(*link);
	*link = NULL;
	return 0;
}

int nvJitLinkAddData(struct fake *link, int type, const char *data, size_t size, const char *name)
{
	note(link, data, size);
	return 0;
}

int nvJitLinkComplete(struct fake *link)
{
	return 0;
}

int __nvJitLinkComplete_13_0(struct fake *link)
{
	return 0;
}

int nvJitLinkGetLinkedPtxSize(struct fake *link, size_t *size)
{
	*size = strlen(link->text) + 1;
	return link->gives_ptx ? 0 : 6;
}

int nvJitLinkGetLinkedPtx(struct fake *link, char *to)
{
	strcpy(to, link->text);
	return 0;
}

int nvJitLinkGetLinkedCubinSize(struct fake *link, size_t *size)
{
	*size = 7;
	return 0;
}

int nvJitLinkGetLinkedCubin(struct fake *link, void *to)
{
	memcpy(to, "machine", 7);
	return 0;
}
