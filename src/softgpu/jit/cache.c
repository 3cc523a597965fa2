/*
 * The object cache. A file is a header and the object; the header repeats the key and has a hash of
 * the object, so that a file cut short, damaged or renamed is a miss and is written anew. Files
 * come into being under a name of their own and are renamed, which is atomic: a reader sees a whole
 * file or none, and two writers of the same key leave one of two equal files.
 *
 * What is loaded is run. So folder and files count only if they belong to this user and nobody else
 * can write to them.
 *
 * Use is remembered in a file's time of change; when the folder outgrows its cap, the files unused
 * for longest go until three quarters are left, some thousands at a time. A process looks at the
 * whole folder before it first stores, and again when it has stored what there was room for. One
 * that finds all it needs never does: to look at a hundred thousand small kernels takes half a
 * second.
 */
#include "softgpu/jit/cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/decimal.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/util.h"

#define MAGIC	     UINT64_C(0x32302d6a626f6773) /* "sgobj-02" */
#define DEFAULT_SIZE (UINT64_C(512) << 20)
#define MOST_OBJECT  (256u << 20)
#define STALE_SEC    3600 /* a writer is not that slow: its process is gone */
#define TEMPORARY    "tmp-"
#define BLOCK	     4096 /* of a file system: what the smallest file takes */
#define MOST_REMOVED 4096 /* at a time, since somebody waits */

struct header {
	uint64_t magic;
	struct digest key;
	uint64_t size;
	struct digest check; /* of the object */
};

static struct {
	pthread_mutex_t lock; /* around all of it */
	bool known;	      /* path was looked for */
	char path[4096];      /* empty: no cache */
	uint64_t cap, room;   /* room: what may be stored before somebody looks at the folder */
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

void cache_name_of(const struct digest *key, char name[CACHE_NAME_TEXT])
{
	for (size_t i = 0; i < sizeof(key->byte); i++)
		snprintf(name + 2 * i, 3, "%02x", key->byte[i]);
}

/* ---- the folder ---- */

/* Makes the folders above the last one, which may be anybody's. */
static void make_parents(char *path)
{
	for (char *slash = *path ? strchr(path + 1, '/') : NULL; slash;
	    slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0700);
		*slash = '/';
	}
}

static bool find_path(char *path, size_t size)
{
	const char *own = getenv("SOFTGPU_CACHE"), *caches = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME"), *disabled = getenv("CUDA_CACHE_DISABLE");
	int used;

	if (disabled && strtoul(disabled, NULL, 10))
		return false;
	if (own)
		used = snprintf(path, size, "%s", own);
	else if (caches && *caches == '/')
		used = snprintf(path, size, "%s/rosen/softgpu", caches);
	else
		used = home && *home == '/' ? snprintf(path, size, "%s/.cache/rosen/softgpu", home)
					    : 0;
	return used > 0 && (size_t)used < size;
}

static uint64_t find_cap(void)
{
	const char *setting = getenv("SOFTGPU_CACHE_SIZE"), *end;
	uint64_t cap;

	if (!setting || !*setting)
		return DEFAULT_SIZE;
	end = size_read(setting, &cap);
	if (end && !*end)
		return cap;
	log_warn(
	    "SOFTGPU_CACHE_SIZE=%s is not a number of bytes, with K, M or G: taking 512M", setting);
	return DEFAULT_SIZE;
}

/* The folder, opened for one use: a descriptor kept would be at the mercy of programs that close
 * all they do not know. -1: none, or not ours alone. */
static int open_folder(void)
{
	struct stat stat;
	int fd;

	if (!*cache.path)
		return -1;
	fd = open(cache.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && (fstat(fd, &stat) || stat.st_uid != geteuid() || (stat.st_mode & 077)))
		fd = fd_close(fd);
	return fd;
}

/* The first look at the cache makes its folder. With the lock held, as all below. */
static int enter_folder(void)
{
	int r;

	if (cache.known)
		return open_folder();
	cache.known = true;
	if (!find_path(cache.path, sizeof(cache.path)))
		cache.path[0] = 0;
	make_parents(cache.path);
	r = *cache.path ? dir_make_private(cache.path) : 0;
	if (r < 0) {
		log_info("compiled kernels are not kept: %s: %s", cache.path, strerror(-r));
		cache.path[0] = 0;
	}
	cache.cap = find_cap();
	return open_folder();
}

/* ---- reading ---- */

static bool is_trusted(int fd, struct stat *stat)
{
	return fstat(fd, stat) == 0 && S_ISREG(stat->st_mode) && stat->st_uid == geteuid() &&
	       !(stat->st_mode & (S_IWGRP | S_IWOTH)) &&
	       stat->st_size <= (off_t)(MOST_OBJECT + sizeof(struct header));
}

static void *read_object(int fd, const struct digest *key, size_t *size)
{
	struct header header;
	struct digest check;
	struct stat stat;
	void *object;

	if (!is_trusted(fd, &stat) ||
	    fd_read_all(fd, &header, sizeof(header), 0) != sizeof(header) ||
	    header.magic != MAGIC || memcmp(&header.key, key, sizeof(*key)) ||
	    header.size != (uint64_t)stat.st_size - sizeof(header) || !header.size)
		return NULL;
	object = malloc(header.size);
	if (object &&
	    fd_read_all(fd, object, header.size, sizeof(header)) == (ssize_t)header.size) {
		check = digest_of(object, header.size);
		*size = header.size;
		if (!memcmp(&header.check, &check, sizeof(check)))
			return object;
	}
	free(object);
	return NULL;
}

void *cache_load(const struct digest *key, size_t *size)
{
	_cleanup_fd_ int folder = -1, fd = -1;
	char name[CACHE_NAME_TEXT];
	void *object = NULL;

	pthread_mutex_lock(&cache.lock);
	folder = enter_folder();
	pthread_mutex_unlock(&cache.lock);
	cache_name_of(key, name);
	if (folder >= 0)
		fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		object = read_object(fd, key, size);
		if (object)
			futimens(fd, NULL); /* used now */
	}
	return object;
}

/* ---- the cap ---- */

struct entry {
	char name[80];
	struct timespec used;
	uint64_t size;
};

static int by_use(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
	return (x->used.tv_nsec > y->used.tv_nsec) - (x->used.tv_nsec < y->used.tv_nsec);
}

static bool is_abandoned(const struct entry *entry)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return !strncmp(entry->name, TEMPORARY, strlen(TEMPORARY)) &&
	       now.tv_sec - entry->used.tv_sec > STALE_SEC;
}

static uint64_t blocks_of(uint64_t bytes)
{
	return align_up(bytes, BLOCK);
}

static bool read_entry(int folder, const char *name, struct entry *entry)
{
	struct stat stat;

	if (*name == '.' || strlen(name) >= sizeof(entry->name) ||
	    fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) || !S_ISREG(stat.st_mode))
		return false;
	strcpy(entry->name, name);
	entry->used = stat.st_mtim;
	entry->size = blocks_of((uint64_t)stat.st_size);
	return true;
}

static struct entry *list_entries(int folder, size_t *count)
{
	struct entry *entries = NULL;
	size_t room = 0;
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *item;

	*count = 0;
	while (dir && (item = readdir(dir))) {
		if (*count == room) {
			struct entry *larger =
			    reallocarray(entries, room ? 2 * room : 256, sizeof(*entries));

			if (!larger)
				break;
			entries = larger;
			room = room ? 2 * room : 256;
		}
		*count += read_entry(folder, item->d_name, &entries[*count]);
	}
	if (dir)
		closedir(dir);
	return entries;
}

/* Removes what dead writers left and, if that many bytes more do not fit, the oldest. */
static void make_room(int folder, uint64_t bytes)
{
	size_t count, n_removed = 0;
	struct entry *entries = list_entries(folder, &count);
	uint64_t used = 0, most = UINT64_MAX;

	for (size_t i = 0; i < count; i++)
		used += entries[i].size;
	if (used + bytes > cache.cap) {
		most = MIN(cache.cap / 4 * 3, cache.cap - bytes);
		qsort(entries, count, sizeof(*entries), by_use);
	}
	for (size_t i = 0; i < count && n_removed < MOST_REMOVED; i++) {
		if ((used > most || is_abandoned(&entries[i])) &&
		    unlinkat(folder, entries[i].name, 0) == 0) {
			used -= entries[i].size;
			n_removed++;
		}
	}
	free(entries);
	/* At least a little, where there is more to remove: not each store shall look. */
	cache.room = MAX(cache.cap - MIN(used, cache.cap), cache.cap / 64);
}

/* ---- writing ---- */

static bool write_file(
    int folder, const char *name, const struct header *header, const void *object)
{
	static unsigned serial;
	char temporary[64];
	bool written;
	int fd;

	snprintf(temporary, sizeof(temporary), TEMPORARY "%ld-%u", (long)getpid(), serial++);
	unlinkat(folder, temporary, 0); /* of a process that had our number and died */
	fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	written = fd_write_all(fd, header, sizeof(*header), 0) == 0 &&
		  fd_write_all(fd, object, header->size, sizeof(*header)) == 0;
	fd_close(fd);
	if (written && renameat(folder, temporary, folder, name) == 0)
		return true;
	unlinkat(folder, temporary, 0);
	return false;
}

void cache_store(const struct digest *key, const void *object, size_t size)
{
	struct header header = {MAGIC, *key, size, digest_of(object, size)};
	uint64_t bytes = blocks_of(sizeof(header) + size);
	_cleanup_fd_ int folder = -1;
	char name[CACHE_NAME_TEXT];

	pthread_mutex_lock(&cache.lock);
	folder = enter_folder();
	if (folder >= 0 && size && size <= MOST_OBJECT && bytes <= cache.cap) {
		if (bytes > cache.room)
			make_room(folder, bytes);
		cache_name_of(key, name);
		if (write_file(folder, name, &header, object))
			cache.room -= MIN(bytes, cache.room);
	}
	pthread_mutex_unlock(&cache.lock);
}
