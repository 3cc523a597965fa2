/* The object cache: what is stored comes back, what was tampered with does not, and it stays
 * small. */
#include "softgpu/jit/cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/test.h"

static char folder[256];

/* Before the process first looks at the cache. */
static void use_folder(void)
{
	CHECK_EQ(dir_make_temporary("cache", folder, sizeof(folder)), 0);
	setenv("SOFTGPU_CACHE", folder, 1);
}

static struct digest key_of(const char *text)
{
	return digest_of(text, strlen(text));
}

static void path_of(const struct digest *key, char *path, size_t size)
{
	char name[CACHE_NAME_TEXT];

	cache_name_of(key, name);
	snprintf(path, size, "%s/%s", folder, name);
}

static bool holds(const struct digest *key, const void *object, size_t size)
{
	size_t loaded_size = 0;
	void *loaded = cache_load(key, &loaded_size);
	bool equal = loaded && loaded_size == size && !memcmp(loaded, object, size);

	free(loaded);
	return equal;
}

static unsigned count_files(uint64_t *bytes)
{
	DIR *dir = opendir(folder);
	const struct dirent *item;
	unsigned count = 0;

	*bytes = 0;
	while (dir && (item = readdir(dir))) {
		struct stat stat;

		if (*item->d_name == '.' || fstatat(dirfd(dir), item->d_name, &stat, 0))
			continue;
		count++;
		*bytes += (uint64_t)stat.st_size;
	}
	closedir(dir);
	return count;
}

TEST(objects_come_back)
{
	struct digest a = key_of("a"), b = key_of("b");

	use_folder();
	CHECK(!holds(&a, "object", 6));
	cache_store(&a, "object", 6);
	cache_store(&b, "other", 5);
	CHECK(holds(&a, "object", 6));
	CHECK(holds(&b, "other", 5));
	cache_store(&a, "object", 6);
	CHECK(holds(&a, "object", 6));
	dir_remove(folder);
	CHECK(!holds(&a, "object", 6));
	cache_store(&a, "object", 6); /* nowhere to put it: no harm */
}

/* Each byte of a file matters, as does its length. */
TEST(damaged_files_are_misses)
{
	struct digest key = key_of("key"), other = key_of("other");
	char path[512], other_path[512], bytes[256];
	ssize_t size;
	int fd;

	use_folder();
	cache_store(&key, "machine code", 12);
	path_of(&key, path, sizeof(path));
	fd = open(path, O_RDWR);
	size = read(fd, bytes, sizeof(bytes));
	CHECK(size > 12);
	for (ssize_t i = 0; i < size; i++) {
		char wrong = (char)(bytes[i] ^ 0x10);

		CHECK_EQ(pwrite(fd, &wrong, 1, i), 1);
		CHECK(!holds(&key, "machine code", 12));
		CHECK_EQ(pwrite(fd, &bytes[i], 1, i), 1);
	}
	CHECK(holds(&key, "machine code", 12));
	for (ssize_t i = 0; i < size; i++) {
		CHECK_EQ(ftruncate(fd, i), 0);
		CHECK(!holds(&key, "machine code", 12));
	}
	CHECK_EQ(pwrite(fd, bytes, (size_t)size, 0), size);
	CHECK(holds(&key, "machine code", 12));
	path_of(&other, other_path, sizeof(other_path));
	CHECK_EQ(rename(path, other_path), 0);
	CHECK(!holds(&other, "machine code", 12)); /* somebody else's object */
	close(fd);
	dir_remove(folder);
}

TEST(files_others_can_write_are_not_run)
{
	struct digest key = key_of("key");
	char path[512], link_path[600];

	use_folder();
	cache_store(&key, "machine code", 12);
	path_of(&key, path, sizeof(path));
	CHECK_EQ(chmod(path, 0666), 0);
	CHECK(!holds(&key, "machine code", 12));
	CHECK_EQ(chmod(path, 0600), 0);
	snprintf(link_path, sizeof(link_path), "%s-elsewhere", path);
	CHECK_EQ(rename(path, link_path), 0);
	CHECK_EQ(symlink(link_path, path), 0);
	CHECK(!holds(&key, "machine code", 12));
	dir_remove(folder);
}

TEST(folders_others_can_enter_are_not_used)
{
	struct digest key = key_of("key");
	uint64_t bytes;

	use_folder();
	CHECK_EQ(chmod(folder, 0777), 0);
	cache_store(&key, "machine code", 12);
	CHECK_EQ(count_files(&bytes), 0);
	CHECK(!holds(&key, "machine code", 12));
	dir_remove(folder);
}

TEST(nothing_is_kept_without_a_folder)
{
	struct digest key = key_of("key");

	setenv("SOFTGPU_CACHE", "", 1);
	cache_store(&key, "machine code", 12);
	CHECK(!holds(&key, "machine code", 12));
}

TEST(the_standard_folder_is_made)
{
	struct digest key = key_of("key");
	char home[512];

	use_folder();
	unsetenv("SOFTGPU_CACHE");
	unsetenv("XDG_CACHE_HOME");
	snprintf(home, sizeof(home), "%s/home", folder);
	CHECK_EQ(mkdir(home, 0700), 0);
	setenv("HOME", home, 1);
	cache_store(&key, "machine code", 12);
	CHECK(holds(&key, "machine code", 12));
	snprintf(home, sizeof(home), "%s/home/.cache/rosen/softgpu", folder);
	CHECK_EQ(access(home, R_OK), 0);
	dir_remove(folder);
}

/* The least recently used go first. */
TEST(the_folder_stays_under_its_cap)
{
	static char object[10000];
	uint64_t bytes;
	char name[16], path[512];
	struct digest key;

	use_folder();
	setenv("SOFTGPU_CACHE_SIZE", "100K", 1);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "%d", i);
		key = key_of(name);
		cache_store(&key, object, sizeof(object));
		CHECK(holds(&(struct digest[]){key_of("0")}[0], object, sizeof(object)));
		count_files(&bytes);
		CHECK(bytes <= 100 << 10);
		/* The clock of files may be coarse: what was stored is older than what is used. */
		path_of(&key, path, sizeof(path));
		if (i)
			utimensat(AT_FDCWD, path,
			    (const struct timespec[]){{1000 + i, 0}, {1000 + i, 0}}, 0);
	}
	snprintf(name, sizeof(name), "%d", 49);
	key = key_of(name);
	CHECK(holds(&key, object, sizeof(object)));
	key = key_of("1");
	CHECK(!holds(&key, object, sizeof(object)));
	dir_remove(folder);
}

/* The smallest file takes a block. */
TEST(many_small_objects_stay_under_the_cap)
{
	uint64_t bytes;

	use_folder();
	setenv("SOFTGPU_CACHE_SIZE", "100K", 1);
	for (int i = 0; i < 100; i++) {
		struct digest key = digest_of(&i, sizeof(i));
		cache_store(&key, "note", 4);
		CHECK(count_files(&bytes) <= (100 << 10) / 4096);
		CHECK(holds(&key, "note", 4));
	}
	dir_remove(folder);
}

TEST(what_dead_writers_left_goes)
{
	struct digest key = key_of("key");
	char path[512];

	use_folder();
	snprintf(path, sizeof(path), "%s/tmp-1-1", folder);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	utimensat(AT_FDCWD, path, (const struct timespec[]){{1000, 0}, {1000, 0}}, 0);
	CHECK(!holds(&key, "", 0)); /* which takes no look at the folder */
	CHECK_EQ(access(path, F_OK), 0);
	cache_store(&key, "machine code", 12);
	CHECK(access(path, F_OK));
	dir_remove(folder);
}

#define USERS	4
#define OBJECTS 32
#define ROUNDS	40
#define OBJECT	5000

static void fill(char *object, int number)
{
	for (int i = 0; i < OBJECT; i++)
		object[i] = (char)(number * 31 + i);
}

/* Stores and loads the same keys as everybody else; a hit must be whole. */
static void *use(void *argument)
{
	unsigned seed = *(unsigned *)argument;
	char object[OBJECT], name[16];

	for (int i = 0; i < ROUNDS * OBJECTS; i++) {
		int number = rand_r(&seed) % OBJECTS;
		struct digest key;
		size_t size;
		void *loaded;

		snprintf(name, sizeof(name), "%d", number);
		key = key_of(name);
		fill(object, number);
		loaded = cache_load(&key, &size);
		if (loaded)
			CHECK(size == OBJECT && !memcmp(loaded, object, OBJECT));
		else
			cache_store(&key, object, OBJECT);
		free(loaded);
	}
	return NULL;
}

/* A small cap makes files come and go all the time. */
TEST_LIMIT(many_users_at_once, 120)
{
	pid_t users[USERS];

	use_folder();
	setenv("SOFTGPU_CACHE_SIZE", "100K", 1);
	for (unsigned i = 0; i < USERS; i++) {
		users[i] = fork();
		if (!users[i]) {
			unsigned seeds[2] = {2 * i, 2 * i + 1};
			pthread_t thread;

			pthread_create(&thread, NULL, use, &seeds[0]);
			use(&seeds[1]);
			pthread_join(thread, NULL);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < USERS; i++) {
		int status;

		CHECK_EQ(waitpid(users[i], &status, 0), users[i]);
		CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	}
	dir_remove(folder);
}
