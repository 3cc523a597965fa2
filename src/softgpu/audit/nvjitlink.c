/*
 * nvJitLink: PTX among the inputs is kept and becomes the linked program, all texts packed into one
 * image; the software GPU's loader links them. Code for link-time optimisation goes to NVIDIA's
 * library, which is asked for PTX instead of machine code and whose PTX becomes one more text.
 *
 * A link that asks for PTX itself (-ptx) is NVIDIA's alone, but for the architecture.
 *
 * nvJitLink.h of CUDA 13.0: a handle is a pointer, a result an int, 0 success.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/cuda.h"
#include "base/util.h"
#include "softgpu/audit/audit.h"

#define NEWEST_TARGET 121 /* nvJitLink of CUDA 13 has no function that would say */

enum { INVALID_INPUT = 3, INTERNAL = 6, UNRECOGNIZED_INPUT = 8 }; /* nvJitLinkResult */

enum {
	INPUT_CUBIN = 1,
	INPUT_PTX,
	INPUT_LTOIR,
	INPUT_FATBIN,
	INPUT_OBJECT,
	INPUT_LIBRARY,
	INPUT_INDEX,
	INPUT_ANY = 10
}; /* nvJitLinkInputType */

typedef void *nvJitLinkHandle;

struct link {
	nvJitLinkHandle handle;
	struct link *next;
	int target;
	bool has_lto; /* an input that NVIDIA's library has to link */
	struct sg_text *texts;
	size_t n_texts;
	void *image;
	size_t image_size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct link *links;

/* Its own thread's: only the list is shared. */
static struct link *link_find(nvJitLinkHandle handle)
{
	struct link *found;

	pthread_mutex_lock(&lock);
	for (found = links; found && found->handle != handle; found = found->next)
		;
	pthread_mutex_unlock(&lock);
	return found;
}

static void link_free(struct link *link)
{
	for (size_t i = 0; i < link->n_texts; i++)
		free(link->texts[i].owned);
	free(link->texts);
	free(link->image);
	free(link);
}

/* ---- creation ---- */

/* Ten times the first device's compute capability, or 0. */
static int device_target(void)
{
	int major, minor;

	if (!libcuda_library.map ||
	    REAL(libcuda_library, "cuDeviceGetAttribute", int *, int, int)(
		&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0) != 0 ||
	    REAL(libcuda_library, "cuDeviceGetAttribute", int *, int, int)(
		&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0) != 0)
		return 0;
	return 10 * major + minor;
}

static bool has_option(uint32_t n, const char **options, const char *option)
{
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(options[i], option))
			return true;
	return false;
}

/*
 * Link-time code must not be for a later device than the link. cuFFT, which does not know the
 * device it is told of, links for the least of all what programs compile for the one there is.
 */
static void raise_target(struct audit_target *target)
{
	int device = device_target();

	if (!*target->suffix && target->number < device)
		target->number = device;
}

static int create(nvJitLinkHandle *handle, uint32_t n, const char **options)
{
	struct link *link = calloc(1, sizeof(*link));
	const char **chosen = calloc(n + 1, sizeof(*chosen));
	bool is_lto = has_option(n, options, "-lto"), is_ptx = has_option(n, options, "-ptx");
	char arch[32];
	int r = INTERNAL;

	for (uint32_t i = 0; link && chosen && i < n; i++) {
		struct audit_target target;

		chosen[i] = options[i];
		if (strncmp(options[i], "-arch=", 6) != 0 ||
		    !audit_target_read(options[i] + 6, &target))
			continue;
		if (is_lto)
			raise_target(&target);
		link->target = target.number;
		audit_target_limit(&target, NEWEST_TARGET);
		snprintf(arch, sizeof(arch), "-arch=%s_%d%s",
		    target.is_machine_code ? "sm" : "compute", target.number, target.suffix);
		chosen[i] = arch;
	}
	if (link && chosen) {
		if (is_lto && !is_ptx)
			chosen[n++] = "-ptx";
		r = REAL(nvjitlink_library, "nvJitLinkCreate", nvJitLinkHandle *, uint32_t,
		    const char **)(handle, n, chosen);
	}
	free(chosen);
	if (r != 0 || is_ptx) {
		free(link);
		return r;
	}
	link->handle = *handle;
	pthread_mutex_lock(&lock);
	link->next = links;
	links = link;
	pthread_mutex_unlock(&lock);
	return 0;
}

static int destroy(nvJitLinkHandle *handle)
{
	struct link *gone = NULL;

	pthread_mutex_lock(&lock);
	for (struct link **p = &links; handle && *p; p = &(*p)->next)
		if ((*p)->handle == *handle) {
			gone = *p;
			*p = gone->next;
			break;
		}
	pthread_mutex_unlock(&lock);
	if (gone)
		link_free(gone);
	return REAL(nvjitlink_library, "nvJitLinkDestroy", nvJitLinkHandle *)(handle);
}

/* ---- inputs ---- */

static int link_add_text(struct link *link, struct sg_text text)
{
	struct sg_text *texts = reallocarray(link->texts, link->n_texts + 1, sizeof(*link->texts));
	char *copy = malloc(text.size + 1);

	if (texts)
		link->texts = texts;
	if (!texts || !copy) {
		free(copy);
		return INTERNAL;
	}
	memcpy(copy, text.text, text.size);
	copy[text.size] = 0;
	texts[link->n_texts++] = (struct sg_text){copy, text.size, copy};
	return 0;
}

/* The PTX of an image, this file's own or NVIDIA's. */
static int link_add_image(struct link *link, const void *data, size_t size)
{
	struct sg_image image;
	int r = 0;

	if (sg_image_init(&image, data, size, link->target) != 0)
		return UNRECOGNIZED_INPUT;
	for (size_t i = 0; r == 0 && i < image.n_texts; i++)
		r = link_add_text(link, image.texts[i]);
	sg_image_fini(&image);
	return r;
}

static bool is_ptx_text(const char *data, size_t size)
{
	struct sg_text text = audit_text(data, size);
	struct sg_text_head head;

	sg_text_head_read(&text, &head);
	return head.version != 0;
}

static int add_data(
    nvJitLinkHandle handle, int type, const void *data, size_t size, const char *name)
{
	struct link *link = link_find(handle);

	if (link && data && (type == INPUT_PTX || type == INPUT_ANY) && is_ptx_text(data, size))
		return link_add_text(link, audit_text(data, size));
	if (link && data && type != INPUT_LTOIR && link_add_image(link, data, size) == 0)
		return 0;
	/* The device runtime: the software GPU's own takes its place. */
	if (link && type == INPUT_LIBRARY)
		return 0;
	if (link && (type == INPUT_CUBIN || type == INPUT_OBJECT))
		return UNRECOGNIZED_INPUT;
	if (link)
		link->has_lto = true;
	return REAL(nvjitlink_library, "nvJitLinkAddData", nvJitLinkHandle, int, const void *,
	    size_t, const char *)(handle, type, data, size, name);
}

static int add_file(nvJitLinkHandle handle, int type, const char *path)
{
	struct stat status;
	int r = INVALID_INPUT, fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	char *data = fd >= 0 && fstat(fd, &status) == 0 ? malloc((size_t)status.st_size + 1) : NULL;

	if (data && read(fd, data, (size_t)status.st_size) == status.st_size)
		r = add_data(handle, type, data, (size_t)status.st_size, path);
	free(data);
	if (fd >= 0)
		close(fd);
	return r;
}

/* ---- the link ---- */

/* What NVIDIA's library has made of its inputs. */
static int link_take_ptx(struct link *link)
{
	size_t size;
	int r = REAL(nvjitlink_library, "nvJitLinkGetLinkedPtxSize", nvJitLinkHandle, size_t *)(
	    link->handle, &size);

	if (r != 0)
		return r;
	char *text = malloc(size + 1);
	if (!text)
		return INTERNAL;
	r = REAL(nvjitlink_library, "nvJitLinkGetLinkedPtx", nvJitLinkHandle, char *)(
	    link->handle, text);
	if (r == 0)
		r = link_add_text(link, audit_text(text, size));
	free(text);
	return r;
}

static int complete(nvJitLinkHandle handle)
{
	struct link *link = link_find(handle);
	int r = 0;

	if (!link || link->has_lto)
		r = REAL(nvjitlink_library, "nvJitLinkComplete", nvJitLinkHandle)(handle);
	if (!link || r != 0)
		return r;
	if (link->has_lto)
		r = link_take_ptx(link);
	if (r != 0)
		return r;
	free(link->image);
	link->image = sg_image_pack(link->texts, link->n_texts, &link->image_size);
	return link->image ? 0 : INTERNAL;
}

static int get_cubin_size(nvJitLinkHandle handle, size_t *size)
{
	struct link *link = link_find(handle);

	if (!link || !link->image || !size)
		return REAL(nvjitlink_library, "nvJitLinkGetLinkedCubinSize", nvJitLinkHandle,
		    size_t *)(handle, size);
	*size = link->image_size;
	return 0;
}

static int get_cubin(nvJitLinkHandle handle, void *to)
{
	struct link *link = link_find(handle);

	if (!link || !link->image || !to)
		return REAL(nvjitlink_library, "nvJitLinkGetLinkedCubin", nvJitLinkHandle, void *)(
		    handle, to);
	memcpy(to, link->image, link->image_size);
	return 0;
}

static const struct audit_function functions[] = {
    {"nvJitLinkCreate", create},
    {"nvJitLinkDestroy", destroy},
    {"nvJitLinkAddData", add_data},
    {"nvJitLinkAddFile", add_file},
    {"nvJitLinkComplete", complete},
    {"nvJitLinkGetLinkedCubinSize", get_cubin_size},
    {"nvJitLinkGetLinkedCubin", get_cubin},
    {0},
};

struct audit_library nvjitlink_library = {"libnvJitLink.so", functions};
