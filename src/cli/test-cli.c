/* The parts of rosen that need no rosend: tables, and what a program's file says. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test.h"
#include "cli/binary.h"
#include "cli/functions.h"
#include "cli/table.h"

TEST(numbers_are_easy_to_read)
{
	char text[TABLE_TEXT_MAX];

	CHECK_STR(table_count(0, text), "0");
	CHECK_STR(table_count(999, text), "999");
	CHECK_STR(table_count(1000, text), "1 000");
	CHECK_STR(table_count(UINT64_MAX, text), "18 446 744 073 709 551 615");
	CHECK_STR(table_bytes(1023, text), "1023 B");
	CHECK_STR(table_bytes(1536, text), "1.5 KiB");
	CHECK_STR(table_bytes(UINT64_MAX, text), "16777216.0 TiB");
	CHECK_STR(table_time(999, text), "999 ns");
	CHECK_STR(table_time(1500, text), "1.50 us");
	CHECK_STR(table_time(61000000000, text), "61.00 s");
}

TEST(columns_are_aligned)
{
	static const char *const titles[] = {"NAME", ">COUNT", "END"};
	struct table *table = table_new(titles, ARRAY_SIZE(titles));
	char text[256] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	table_add(table, "%s", "a");
	table_add(table, "%d", 1234567);
	table_add(table, "x");
	table_add(table, "\xc3\xa9\xc3\xa9");
	table_add(table, "7");
	table_add(table, "y");
	CHECK(out);
	table_print(table, out, 1);
	table_free(table);
	fclose(out);
	CHECK_STR(
	    text, " NAME    COUNT  END\n a     1234567  x\n \xc3\xa9\xc3\xa9          7  y\n");
}

TEST(empty_table_has_its_titles)
{
	static const char *const titles[] = {"A", "B"};
	struct table *table = table_new(titles, ARRAY_SIZE(titles));
	char text[64] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	CHECK(out);
	table_print(table, out, 0);
	table_free(table);
	fclose(out);
	CHECK_STR(text, "A  B\n");
}

TEST(functions_have_names)
{
	CHECK(strcmp(function_name(0), "?") != 0);
	CHECK_STR(function_name(UINT32_MAX), "?");
	CHECK(!function_is_local(UINT32_MAX));
}

TEST(this_program_is_dynamic)
{
	struct binary_report report;

	CHECK_EQ(binary_inspect("/proc/self/exe", &report), 0);
	CHECK(report.is_elf && report.is_64 && report.x86);
	CHECK(!report.is_static && !report.privileged && !report.needs_cuda);
	CHECK_STR(report.rpath, "");
	CHECK_EQ(binary_inspect("/no/such/file", &report), -ENOENT);
	CHECK_EQ(binary_inspect("/", &report), -EACCES);
}

/* A file of these bytes, by a path of its own. */
static int make_file(const void *bytes, size_t size, char *path, size_t path_size)
{
	int fd = memfd_create("binary", MFD_CLOEXEC);

	CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	snprintf(path, path_size, "/proc/self/fd/%d", fd);
	return fd;
}

TEST(malformed_programs_are_survived)
{
	static uint8_t bytes[1 << 16];
	struct binary_report report;
	unsigned seed = 1;
	char path[64];

	_cleanup_fd_ int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ssize_t size = read(self, bytes, sizeof(bytes));
	CHECK(size > 4096);
	for (size_t cut = 0; cut < 4096; cut += 7) {
		_cleanup_fd_ int fd = make_file(bytes, cut, path, sizeof(path));
		CHECK_EQ(binary_inspect(path, &report), 0);
	}
	/* Program headers and dynamic section lie; every byte may be anything. */
	for (int round = 0; round < 2000; round++) {
		uint8_t saved[1024];
		memcpy(saved, bytes, sizeof(saved));
		for (int i = 0; i < 8; i++)
			bytes[16 + rand_r(&seed) % (sizeof(saved) - 16)] = (uint8_t)rand_r(&seed);
		_cleanup_fd_ int fd = make_file(bytes, (size_t)size, path, sizeof(path));
		CHECK_EQ(binary_inspect(path, &report), 0);
		memcpy(bytes, saved, sizeof(saved));
	}
}

TEST(script_is_no_binary)
{
	struct binary_report report;
	char path[64];
	_cleanup_fd_ int fd = make_file("#!/bin/sh\n", 10, path, sizeof(path));

	CHECK_EQ(binary_inspect(path, &report), 0);
	CHECK(!report.is_elf);
}

TEST(programs_are_found_as_exec_finds_them)
{
	char path[256];

	setenv("PATH", "/nonexistent:/bin:/usr/bin", 1);
	CHECK(binary_find("sh", X_OK, path, sizeof(path)));
	CHECK_STR(path, "/bin/sh");
	CHECK(!binary_find("no-such-program", F_OK, path, sizeof(path)));
	CHECK(binary_find("/bin/sh", X_OK, path, sizeof(path)));
	CHECK(!binary_find("/bin/no-such-program", X_OK, path, sizeof(path)));
}
