/*
 * Kernels on disk: what a process finds there it neither translates nor compiles, what is damaged
 * is made anew, and nothing is used for what it was not made from.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/dir.h"
#include "softgpu/exec/test-machine.h"

#define STORE(number)                                                                              \
	PTX_HEAD ".visible .entry k(.param .u64 a) { .reg .b64 %a; ld.param.u64 %a, [a]; "         \
		 "st.global.u32 [%a], " #number "; ret; }\n"

#define MOST_FILES 16

struct files {
	unsigned count;
	char paths[MOST_FILES][600];
	struct stat stats[MOST_FILES];
};

static char folder[256];

static void use_folder(void)
{
	const char *compiler = getenv("SOFTGPU_LLVM");

	if (MACHINE_CANNOT_RUN || !compiler || access(compiler, R_OK))
		SKIP("no kernels run here");
	CHECK_EQ(dir_make_temporary("cache", folder, sizeof(folder)), 0);
	setenv("SOFTGPU_CACHE", folder, 1);
}

/* As they would be if nobody had used them for long. */
static void age_files(struct files *files)
{
	DIR *dir = opendir(folder);
	const struct dirent *item;

	files->count = 0;
	while (dir && (item = readdir(dir))) {
		char *path = files->paths[files->count];

		if (*item->d_name == '.')
			continue;
		CHECK(files->count < MOST_FILES);
		snprintf(path, sizeof(files->paths[0]), "%s/%s", folder, item->d_name);
		CHECK_EQ(
		    utimensat(AT_FDCWD, path, (const struct timespec[]){{1000, 0}, {1000, 0}}, 0),
		    0);
		CHECK_EQ(stat(path, &files->stats[files->count++]), 0);
	}
	closedir(dir);
}

static uint32_t run(const char *text)
{
	struct sg_module *module = module_load(text);
	uint32_t *word = device_alloc(4), result;
	uint64_t params[] = {(uint64_t)word};

	launch_fine(kernel_get(module, "k"), 1, 1, params, 1);
	result = *word;
	sg_module_unload(module);
	return result;
}

static bool has_compiler(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	bool found = false;

	while (fgets(line, sizeof(line), maps))
		found |= strstr(line, "softgpu-llvm") != NULL;
	fclose(maps);
	return found;
}

/* Does a new process get 7, and does it load the compiler? */
static bool compiles_in_new_process(void)
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(run(STORE(7)) != 7 ? 2 : has_compiler());
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status);
}

TEST(a_kernel_on_disk_needs_no_compiler)
{
	struct files before, after;

	use_folder();
	CHECK(compiles_in_new_process());
	age_files(&before);
	CHECK_EQ(before.count, 3); /* the compiler, the translation, the object */
	CHECK(!compiles_in_new_process());
	for (unsigned i = 0; i < before.count; i++) {
		CHECK_EQ(stat(before.paths[i], &after.stats[i]), 0);
		CHECK_EQ(after.stats[i].st_ino, before.stats[i].st_ino);
		CHECK(after.stats[i].st_mtime > 1000);
	}
	dir_remove(folder);
}

#define MOST_BYTES 65536

static size_t read_file(const char *path, char bytes[MOST_BYTES])
{
	FILE *file = fopen(path, "r");
	size_t size = fread(bytes, 1, MOST_BYTES, file);

	fclose(file);
	CHECK(size < MOST_BYTES);
	return size;
}

/* Each of the files alone. */
TEST(damaged_files_are_made_anew)
{
	static char before[MOST_BYTES], after[MOST_BYTES];
	struct files files;

	use_folder();
	CHECK(compiles_in_new_process());
	age_files(&files);
	for (unsigned i = 0; i < files.count; i++) {
		size_t size = read_file(files.paths[i], before);
		int fd = open(files.paths[i], O_WRONLY);

		CHECK_EQ(pwrite(fd, "damage", 6, (off_t)size / 2), 6);
		close(fd);
		compiles_in_new_process();
		CHECK_EQ(read_file(files.paths[i], after), size);
		CHECK_BYTES(after, before, size);
		CHECK(!compiles_in_new_process());
	}
	dir_remove(folder);
}

TEST(a_changed_text_is_another_kernel)
{
	use_folder();
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(run(STORE(7)), 7);
		CHECK_EQ(run(STORE(8)), 8);
	}
	dir_remove(folder);
}

/* The second module's variable lies elsewhere; the third's where the first's was. */
TEST(moved_variables_are_found)
{
	static const char text[] =
	    PTX_HEAD ".visible .global .u32 v = 5;\n"
		     ".visible .entry k(.param .u64 a) { .reg .b64 %a; .reg .b32 %r; "
		     "ld.param.u64 %a, [a]; ld.global.u32 %r, [v]; add.u32 %r, %r, 1; "
		     "st.global.u32 [v], %r; st.global.u32 [%a], %r; ret; }\n";
	uint64_t start = machine_next;

	use_folder();
	CHECK_EQ(run(text), 6);
	CHECK_EQ(run(text), 6);
	machine_next = start;
	CHECK_EQ(run(text), 6);
	dir_remove(folder);
}

/* What differs is who asks, not what. */
TEST(settings_tell_kernels_apart)
{
	struct files files;

	use_folder();
	CHECK(compiles_in_new_process());
	setenv("SOFTGPU_CHECK", "1", 1);
	CHECK(compiles_in_new_process());
	age_files(&files);
	CHECK_EQ(files.count, 5);
	CHECK(!compiles_in_new_process());
	dir_remove(folder);
}
