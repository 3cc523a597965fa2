/*
 * Going there: piece by piece the bytes are written into the memfd and the memfd is mapped over
 * them, so that the moment in which another thread's write can get lost is that of copying one
 * piece.
 *
 * Going back: the memfd is mapped privately, which loses nothing, since the kernel swaps one
 * mapping for the other at once. Then each page is written to with what it holds, which gives the
 * program a page of its own, and the memfd is emptied: no memory is held twice, and a page that an
 * allocator drops (MADV_DONTNEED) comes back zero, as allocators rely on. Where the program has
 * closed the descriptor (daemons close all) the bytes are copied instead.
 *
 * A takeover lies in pages of its own: in the heap it might be in one of the pages it is about.
 */
#include "shim/takeover.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "base/util.h"

#define PIECE	  (64u << 10)
#define NEAR_HERE (64u << 10) /* of a stack's frame, in which calls made here take place */
#define NAME	  "/memfd:rosen-registered"

static void *pointer_to(uint64_t address)
{
	return (void *)(uintptr_t)address; /* NOLINT(performance-no-int-to-ptr) */
}

/* --- looking --- */

static bool overlap(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end)
{
	return a < b_end && b < a_end;
}

static bool on_own_stack(uint64_t address, uint64_t end)
{
	uint64_t frame = (uint64_t)__builtin_frame_address(0);
	pthread_attr_t attributes;
	void *base = NULL;
	size_t size = 0;

	/* The frame too: the thread may run on a stack that is no thread's. */
	if (overlap(address, end, frame - NEAR_HERE, frame + NEAR_HERE))
		return true;
	if (pthread_getattr_np(pthread_self(), &attributes) != 0)
		return true;
	pthread_attr_getstack(&attributes, &base, &size);
	pthread_attr_destroy(&attributes);
	return overlap(address, end, (uint64_t)base, (uint64_t)base + size);
}

/* A line of /proc/self/maps: whether it is private memory without a file, or that of an earlier
 * takeover, which is as good. */
static bool line_is_private(const char *permissions, unsigned long inode, const char *name)
{
	if (permissions[3] != 'p')
		return false;
	if (inode)
		return strncmp(name, NAME, strlen(NAME)) == 0;
	return !*name || strcmp(name, "[heap]") == 0 || strncmp(name, "[anon:", 6) == 0;
}

struct line {
	unsigned long first, behind, offset, inode;
	unsigned major, minor;
	char permissions[5], name[256];
};

static bool parse_line(const char *text, struct line *line)
{
	line->name[0] = '\0';
	return sscanf(text, "%lx-%lx %4s %lx %x:%x %lu %255[^\n]", &line->first, &line->behind,
		   line->permissions, &line->offset, &line->major, &line->minor, &line->inode,
		   line->name) >= 7;
}

/* The line holds all of [at, end). */
static void look_at_file(const struct line *line, uint64_t at, struct takeover_look *look)
{
	if (line->permissions[3] != 's' || !line->inode)
		return;
	look->file = true;
	look->offset = line->offset + (at - line->first);
	look->line[0] = line->first;
	look->line[1] = line->behind;
	look->device = makedev(line->major, line->minor);
	look->inode = line->inode;
	memcpy(look->path, line->name, sizeof(look->path));
}

static void look_at_lines(FILE *maps, uint64_t at, uint64_t end, struct takeover_look *look)
{
	uint64_t start = at;
	struct line line;
	char *text = NULL;
	size_t room = 0;

	while (at < end && getline(&text, &room, maps) > 0) {
		if (!parse_line(text, &line) || line.behind <= at)
			continue;
		if (line.first > at)
			break;
		look->mapped &= line.permissions[0] == 'r';
		look->writable &= line.permissions[1] == 'w';
		look->private &= line_is_private(line.permissions, line.inode, line.name);
		if (at == start && line.behind >= end)
			look_at_file(&line, at, look);
		at = line.behind;
	}
	free(text);
	look->mapped &= at >= end;
}

struct takeover_look takeover_look(uint64_t address, uint64_t size)
{
	struct takeover_look look = {.mapped = true, .writable = true, .private = true};
	FILE *maps = fopen("/proc/self/maps", "re");

	if (!maps) /* then nothing is known, and nothing can be taken */
		return (struct takeover_look){.mapped = true, .writable = true};
	look_at_lines(maps, address, address + size, &look);
	fclose(maps);
	look.private &= !on_own_stack(address, address + size);
	return look;
}

/* --- a file that is mapped --- */

/* fd if it is the file; closes it otherwise. */
static int check_file(const struct takeover_look *look, int fd)
{
	struct stat status;
	struct statfs system;

	if (fd < 0 || fstat(fd, &status) < 0 || status.st_ino != look->inode ||
	    fstatfs(fd, &system) < 0 || system.f_type != TMPFS_MAGIC ||
	    status.st_dev != look->device) {
		fd_close(fd);
		return -1;
	}
	return fd;
}

/* The program may still have open what has no name any more. */
static int find_descriptor(const struct takeover_look *look)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	struct stat status;
	int fd = -1;

	while (folder && fd < 0 && (entry = readdir(folder))) {
		if (fstatat(dirfd(folder), entry->d_name, &status, 0) == 0 &&
		    status.st_ino == look->inode && status.st_dev == look->device)
			fd = check_file(
			    look, openat(dirfd(folder), entry->d_name, O_RDWR | O_CLOEXEC));
	}
	if (folder)
		closedir(folder);
	return fd;
}

int takeover_open_file(const struct takeover_look *look)
{
	char name[64];
	int fd = -1;

	if (*look->path == '/')
		fd = check_file(look, open(look->path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
	if (fd < 0) {
		/* Needs a capability that root has, and containers may not. */
		snprintf(name, sizeof(name), "/proc/self/map_files/%lx-%lx",
		    (unsigned long)look->line[0], (unsigned long)look->line[1]);
		fd = check_file(look, open(name, O_RDWR | O_CLOEXEC));
	}
	return fd >= 0 ? fd : find_descriptor(look);
}

/* --- there and back --- */

static bool map_over(uint64_t address, uint64_t size, int flags, int fd, uint64_t offset)
{
	return mmap(pointer_to(address), size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd,
		   (off_t)offset) != MAP_FAILED;
}

static bool fd_is_ours(const struct takeover *t)
{
	struct stat status;

	return fstat(t->fd, &status) == 0 && status.st_dev == t->device &&
	       status.st_ino == t->inode;
}

/* Writes to every page what it holds, as one operation, in case another thread writes too. */
static void own_pages(uint64_t address, uint64_t size)
{
	for (uint64_t at = address; at < address + size; at += TAKEOVER_PAGE) {
		volatile uint8_t *byte = pointer_to(at);
		uint8_t value = *byte;
		__atomic_compare_exchange_n(
		    byte, &value, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	}
}

static void copy_back(uint64_t address, uint64_t size)
{
	void *copy = mmap(
	    NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (copy == MAP_FAILED)
		return; /* stays shared with nobody, which only a fork would show */
	memcpy(copy, pointer_to(address), size);
	if (mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, pointer_to(address)) ==
	    MAP_FAILED)
		munmap(copy, size);
}

static void give_back(struct takeover *t, uint64_t size)
{
	if (!size)
		return;
	if (!fd_is_ours(t) || !map_over(t->address, size, MAP_PRIVATE, t->fd, 0)) {
		copy_back(t->address, size);
		return;
	}
	own_pages(t->address, size);
	fallocate(t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)t->size);
}

static bool take(struct takeover *t)
{
	for (uint64_t done = 0; done < t->size; done += PIECE) {
		size_t piece = MIN(PIECE, t->size - done);
		if (fd_write_all(t->fd, pointer_to(t->address + done), piece, (off_t)done) == 0 &&
		    map_over(t->address + done, piece, MAP_SHARED, t->fd, done))
			continue;
		give_back(t, done);
		return false;
	}
	return true;
}

struct takeover *takeover_new(uint64_t address, uint64_t size, int fd)
{
	struct stat status;
	struct takeover *t =
	    mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (t == MAP_FAILED || fstat(fd, &status) < 0) {
		fd_close(fd);
		return NULL;
	}
	t->address = address;
	t->size = size;
	t->fd = fd;
	t->device = status.st_dev;
	t->inode = status.st_ino;
	if (take(t))
		return t;
	fd_close(fd);
	munmap(t, sizeof(*t));
	return NULL;
}

struct takeover *takeover_free(struct takeover *t)
{
	if (!t)
		return NULL;
	give_back(t, t->size);
	if (fd_is_ours(t))
		fd_close(t->fd);
	munmap(t, sizeof(*t));
	return NULL;
}

/* --- fork --- */

static uint64_t last_page(const struct takeover *t)
{
	return t->address + t->size - TAKEOVER_PAGE;
}

void takeover_before_fork(struct takeover *t)
{
	memcpy(t->edges[0], pointer_to(t->address), TAKEOVER_PAGE);
	memcpy(t->edges[1], pointer_to(last_page(t)), TAKEOVER_PAGE);
}

void takeover_in_child(struct takeover *t)
{
	if (!fd_is_ours(t) || !map_over(t->address, t->size, MAP_PRIVATE, t->fd, 0))
		copy_back(t->address, t->size);
	memcpy(pointer_to(t->address), t->edges[0], TAKEOVER_PAGE);
	memcpy(pointer_to(last_page(t)), t->edges[1], TAKEOVER_PAGE);
}
