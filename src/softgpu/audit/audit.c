/*
 * The dynamic linker's side: `rosen run --backend softgpu` names this library in LD_AUDIT. It tells
 * the linker which objects interest it, and gives another address for a few functions of five
 * libraries, whether somebody binds to them as he is loaded or by dlsym(). Nothing else is touched:
 * a program without those libraries runs as ever.
 *
 * Each object's cookie says what it is: one of the libraries whose functions are replaced, one of
 * NVIDIA's libraries that are clients of libcuda only, or none of them. Of several versions of one
 * library in a process the first is taken.
 */
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "softgpu/audit/audit.h"

#define EXPORT __attribute__((visibility("default")))

enum { COOKIE_NONE, COOKIE_CLIENT }; /* else a struct audit_library's address */

/* This thread's dlsym() is ours. */
static _Thread_local bool asks_for_real;

static struct audit_library *const libraries[] = {
    &nvrtc_library, &nvjitlink_library, &libcuda_library, &libcudart_library, &libc_library};

/*
 * How the names of NVIDIA's closed libraries with kernels inside begin. NCCL is none: it leaves the
 * choice of its one kernel's form to the driver, and wants more shared memory of a device that it
 * does not know than this one has.
 */
static const char *const clients[] = {"libcublas", "libcudnn", "libcufft", "libcurand",
    "libcusolver", "libcusparse", "libnpp", "libnvjpeg"};

static bool begins_with(const char *name, const char *with)
{
	return !strncmp(name, with, strlen(with));
}

EXPORT unsigned la_version(unsigned version)
{
	return MIN(version, (unsigned)LAV_CURRENT);
}

EXPORT unsigned la_objopen(struct link_map *map, Lmid_t namespace, uintptr_t *cookie)
{
	const char *slash = strrchr(map->l_name, '/'), *file = slash ? slash + 1 : map->l_name;

	*cookie = COOKIE_NONE;
	for (size_t i = 0; i < ARRAY_SIZE(libraries); i++) {
		if (!begins_with(file, libraries[i]->file) || libraries[i]->map)
			continue;
		libraries[i]->map = map;
		*cookie = (uintptr_t)libraries[i];
		return LA_FLG_BINDTO | LA_FLG_BINDFROM;
	}
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		if (begins_with(file, clients[i]))
			*cookie = COOKIE_CLIENT;
	return LA_FLG_BINDFROM;
}

EXPORT unsigned la_objclose(uintptr_t *cookie)
{
	if (*cookie > COOKIE_CLIENT)
		((struct audit_library *)*cookie)->map = NULL;
	return 0;
}

/* nvJitLink's header calls functions of each version, "__nvJitLinkCreate_13_0". */
static bool is_name(const char *symbol, const char *name)
{
	if (begins_with(symbol, "__"))
		symbol += 2;
	if (!begins_with(symbol, name))
		return false;
	symbol += strlen(name);
	return !*symbol || (*symbol == '_' && symbol[1] >= '0' && symbol[1] <= '9');
}

/* A library's own calls from one of its functions to the next are nobody's. */
static bool is_replaced(uintptr_t from, uintptr_t to)
{
	const struct audit_library *library = (const struct audit_library *)to;

	return to > COOKIE_CLIENT && from != to && !asks_for_real &&
	       (!library->is_for_clients || from == COOKIE_CLIENT);
}

EXPORT uintptr_t la_symbind64(Elf64_Sym *symbol, unsigned index, uintptr_t *from, uintptr_t *to,
    unsigned *flags, const char *name)
{
	const struct audit_function *f;

	if (!is_replaced(*from, *to))
		return symbol->st_value;
	for (f = ((const struct audit_library *)*to)->functions; f->name; f++)
		if (is_name(name, f->name)) {
			if (f->real)
				*f->real = (void *)symbol->st_value;
			return (uintptr_t)f->function;
		}
	return symbol->st_value;
}

/* The handle of a library that is loaded anyway, and stays so. */
static void *library_handle(struct audit_library *library)
{
	struct link_map *map = library->map;

	if (!library->handle)
		library->handle = dlmopen(LM_ID_BASE, map->l_name, RTLD_LAZY | RTLD_NOLOAD);
	return library->handle;
}

void *audit_real(struct audit_library *library, const char *name)
{
	void *handle, *function;

	asks_for_real = true;
	handle = library_handle(library);
	function = handle ? dlsym(handle, name) : NULL;
	asks_for_real = false;
	if (function)
		return function;
	fprintf(stderr,
	    "rosen[softgpu]: %s has no %s: unset LD_AUDIT in the program to have it as it is\n",
	    library->file, name);
	abort();
}
