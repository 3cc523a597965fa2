/* The parts of rosen that need no rosend: tables, and what a program's file says. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
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
	CHECK_STR(table_time(120 * NSEC_PER_SEC, text), "2 min 00 s");
	CHECK_STR(table_time(11100 * NSEC_PER_SEC, text), "3 h 05 min");
	CHECK_STR(table_time(UINT64_MAX, text), "213503 d 23 h");
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
	CHECK_EQ(binary_inspect("/", &report), -EISDIR);
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

static void check_script(const char *text, bool is_script, const char *interpreter)
{
	struct binary_report report;
	char path[64];
	_cleanup_fd_ int fd = make_file(text, strlen(text), path, sizeof(path));

	CHECK_EQ(binary_inspect(path, &report), 0);
	CHECK(!report.is_elf);
	CHECK_EQ(report.is_script, is_script);
	CHECK_STR(report.interpreter, interpreter);
}

TEST(script_names_its_interpreter)
{
	check_script("#!/bin/sh\nexit\n", true, "/bin/sh");
	check_script("#! /bin/sh -eu", true, "/bin/sh");
	check_script("#!/usr/bin/env python3\n", true, "python3");
	check_script("#!/usr/bin/env", true, "");
	check_script("#!\n", true, "");
	check_script("exit\n", false, "");
}

static void check_obstacle(const struct binary_report *report, const char *wanted)
{
	char why[BINARY_WHY_MAX] = "";
	const char *mend = NULL;

	CHECK_EQ(binary_has_obstacle(report, why, &mend), wanted != NULL);
	CHECK(!wanted || (strstr(why, wanted) && *mend));
}

TEST(obstacles_are_told)
{
	struct binary_report good, report;

	CHECK_EQ(binary_inspect("/proc/self/exe", &good), 0);
	check_obstacle(&good, NULL);
	report = good;
	report.is_64 = false;
	check_obstacle(&report, "64-bit");
	report = good;
	report.is_static = true;
	check_obstacle(&report, "statically");
	report = good;
	report.privileged = true;
	check_obstacle(&report, "privileged");
	report = good;
	strcpy(report.interpreter, "/lib/ld-musl-x86_64.so.1");
	check_obstacle(&report, "another C library than glibc (/lib/ld-musl-x86_64.so.1)");
	strcpy(report.interpreter, "/nix/store/glibc/lib/ld-linux-x86-64.so.2");
	check_obstacle(&report, NULL);
}

TEST(rpath_with_a_driver_is_an_obstacle)
{
	char folder[] = "/tmp/rosen-cli-XXXXXX", path[64];
	struct binary_report report;

	CHECK_EQ(binary_inspect("/proc/self/exe", &report), 0);
	CHECK(mkdtemp(folder));
	snprintf(report.rpath, sizeof(report.rpath), "/nonexistent:%s", folder);
	check_obstacle(&report, NULL);
	snprintf(path, sizeof(path), "%s/libcuda.so.1", folder);
	fd_close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	check_obstacle(&report, folder);
	unlink(path);
	rmdir(folder);
}

TEST(rights_of_another_are_privileged)
{
	char folder[] = "/tmp/rosen-cli-XXXXXX", path[64];
	struct binary_report report;

	CHECK(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/program", folder);
	fd_close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0700));
	/* Set-user-id to the user who runs it changes nothing. */
	CHECK_EQ(chmod(path, 04700), 0);
	CHECK_EQ(binary_inspect(path, &report), 0);
	CHECK(!report.privileged);
	if (geteuid() == 0) {
		CHECK_EQ(chown(path, 65534, 0), 0);
		CHECK_EQ(chmod(path, 04700), 0);
		CHECK_EQ(binary_inspect(path, &report), 0);
		CHECK(report.privileged);
	}
	unlink(path);
	rmdir(folder);
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
	CHECK(!binary_find("", F_OK, path, sizeof(path)));
	setenv("PATH", "/:/no/such/folder:/bin", 1);
	CHECK(!binary_find("etc", F_OK, path, sizeof(path)));
	CHECK(binary_find("sh", X_OK, path, sizeof(path)));
	CHECK_STR(path, "/bin/sh");
	CHECK_EQ(chdir("/bin"), 0);
	setenv("PATH", "/no/such/folder:", 1);
	CHECK(binary_find("sh", X_OK, path, sizeof(path)));
	CHECK_STR(path, "./sh");
}
