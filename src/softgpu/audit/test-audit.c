/*
 * What a program gets that runs with softgpu-audit.so: PTX in an image where it asks NVIDIA's
 * compilers for machine code, here stand-ins that say what they were asked for; and the device that
 * NVIDIA's libraries see. And the assembler.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include "base/test.h"
#include "softgpu/image/image.h"

static void *library;

#define CALL(name, ...) ((int (*)(__VA_ARGS__))function(name))

static void *function(const char *name)
{
	void *found = dlsym(library, name);

	if (!found)
		test_fail(__FILE__, __LINE__, "no %s", name);
	return found;
}

static void open_library(const char *variable)
{
	if (!getenv(variable))
		SKIP("run it through the build");
	library = dlopen(getenv(variable), RTLD_NOW);
	if (!library)
		test_fail(__FILE__, __LINE__, "%s", dlerror());
}

/* The image's texts, one after the other, each ended by "|". */
static char *texts_of(const void *data, size_t size)
{
	static char all[1024];
	struct sg_image image;

	*all = 0;
	CHECK_EQ(sg_image_init(&image, data, size, 120), 0);
	for (size_t i = 0; i < image.n_texts; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%.*s|",
		    (int)strnlen(image.texts[i].text, image.texts[i].size), image.texts[i].text);
	sg_image_fini(&image);
	return all;
}

/* ---- NVRTC ---- */

#define PTX_OF_OPTIONS ".version 8.0\n.target sm_75\n//"

static void *compile(int n, const char *const *options, char *machine, size_t *size)
{
	void *program;

	CHECK_EQ(CALL("nvrtcCreateProgram", void **, const char *, const char *, int,
		     const char *const *, const char *const *)(&program, "", "", 0, NULL, NULL),
	    0);
	CHECK_EQ(
	    CALL("nvrtcCompileProgram", void *, int, const char *const *)(program, n, options), 0);
	CHECK_EQ(CALL("nvrtcGetCUBINSize", void *, size_t *)(program, size), 0);
	CHECK_EQ(CALL("nvrtcGetCUBIN", void *, char *)(program, machine), 0);
	return program;
}

#define COMPILE(...)                                                                               \
	compile(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                            \
	    (const char *const[]){__VA_ARGS__}, machine, &size)

TEST(nvrtc_gives_ptx_for_machine_code)
{
	char machine[1024];
	void *program;
	size_t size;

	open_library("TEST_NVRTC");
	program = COMPILE("-I.", "--gpu-architecture=sm_120a", "-DX");
	CHECK_STR(
	    texts_of(machine, size), PTX_OF_OPTIONS " -I. --gpu-architecture=compute_120a -DX|");
	CHECK_EQ(CALL("nvrtcDestroyProgram", void **)(&program), 0);
	program = COMPILE("-arch", "sm_75");
	CHECK_STR(texts_of(machine, size), PTX_OF_OPTIONS " --gpu-architecture=compute_75|");
	CHECK_EQ(CALL("nvrtcDestroyProgram", void **)(&program), 0);
}

TEST(nvrtc_compiles_for_the_newest_device_it_knows)
{
	char machine[1024], text[256];
	void *program;
	size_t size;

	open_library("TEST_NVRTC");
	program = COMPILE("-arch=sm_130a");
	CHECK_STR(texts_of(machine, size), PTX_OF_OPTIONS " --gpu-architecture=compute_121|");
	CHECK_EQ(CALL("nvrtcDestroyProgram", void **)(&program), 0);
	program = COMPILE("-arch=compute_130");
	CHECK_BYTES(machine, "machine", 7);
	CHECK_EQ(CALL("nvrtcGetPTX", void *, char *)(program, text), 0);
	CHECK_STR(text, PTX_OF_OPTIONS " --gpu-architecture=compute_121");
	CHECK_EQ(CALL("nvrtcDestroyProgram", void **)(&program), 0);
}

TEST(nvrtc_is_left_alone_otherwise)
{
	char machine[1024], text[256];
	void *program;
	size_t size;

	open_library("TEST_NVRTC");
	program = COMPILE("-arch=sm_90", "-dlto");
	CHECK_EQ(size, 7);
	CHECK_BYTES(machine, "machine", 7);
	CHECK_EQ(CALL("nvrtcGetPTX", void *, char *)(program, text), 0);
	CHECK_STR(text, PTX_OF_OPTIONS " --gpu-architecture=sm_90 -dlto");
	/* Compiled again, for machine code. */
	CHECK_EQ(CALL("nvrtcCompileProgram", void *, int, const char *const *)(
		     program, 1, (const char *const[]){"-arch=sm_90"}),
	    0);
	CHECK_EQ(CALL("nvrtcGetCUBINSize", void *, size_t *)(program, &size), 0);
	CHECK(size > 7);
	CHECK_EQ(CALL("nvrtcDestroyProgram", void **)(&program), 0);
}

/* ---- nvJitLink ---- */

enum { PTX = 2, LTOIR = 3, FATBIN = 4 };

static const char one[] = ".version 8.0\n.target sm_80\n//1",
		  two[] = ".version 7.0\n.target sm_70\n";

static void *link_begin(uint32_t n, const char **options)
{
	void *link;

	CHECK_EQ(CALL("nvJitLinkCreate", void **, uint32_t, const char **)(&link, n, options), 0);
	return link;
}

static int link_add(void *link, int type, const void *data, size_t size)
{
	return CALL("nvJitLinkAddData", void *, int, const void *, size_t, const char *)(
	    link, type, data, size, "input");
}

/* The link is ended. */
static const char *link_end(void *link, const char *complete)
{
	char machine[1024] = "";
	size_t size;

	CHECK_EQ(CALL(complete, void *)(link), 0);
	CHECK_EQ(CALL("nvJitLinkGetLinkedCubinSize", void *, size_t *)(link, &size), 0);
	CHECK_EQ(CALL("nvJitLinkGetLinkedCubin", void *, void *)(link, machine), 0);
	CHECK_EQ(CALL("nvJitLinkDestroy", void **)(&link), 0);
	return size == 7 ? "machine" : texts_of(machine, size);
}

TEST(nvjitlink_keeps_ptx)
{
	const char *options[] = {"-arch=sm_130"};
	struct sg_text text = {.text = two, .size = strlen(two)};
	size_t size;
	void *link, *image = sg_image_pack(&text, 1, &size);

	open_library("TEST_NVJITLINK");
	link = link_begin(1, options);
	CHECK_EQ(link_add(link, PTX, one, sizeof(one)), 0);
	CHECK_EQ(link_add(link, FATBIN, image, size), 0);
	CHECK(link_add(link, 1, "\177ELF", 4) != 0);
	CHECK_STR(link_end(link, "__nvJitLinkComplete_13_0"),
	    ".version 8.0\n.target sm_80\n//1|.version 7.0\n.target sm_70\n|");
	free(image);
}

TEST(nvjitlink_gives_ptx_of_link_time_code)
{
	const char *options[] = {"-lto", "-arch=sm_130"};
	void *link;

	open_library("TEST_NVJITLINK");
	link = link_begin(2, options);
	CHECK_EQ(link_add(link, PTX, one, strlen(one)), 0);
	CHECK_EQ(link_add(link, LTOIR, "code", 4), 0);
	CHECK_STR(link_end(link, "nvJitLinkComplete"),
	    ".version 8.0\n.target sm_80\n//1|" PTX_OF_OPTIONS " -lto -arch=sm_121 -ptx code|");
	options[1] = "-ptx";
	CHECK_STR(link_end(link_begin(2, options), "nvJitLinkComplete"), "machine");
}

/* The library that asks does not know the device, of which the program's code may be. */
TEST(nvjitlink_links_for_the_device_there_is)
{
	const char *options[] = {"-arch=sm_75", "-lto"};

	library = dlopen("libcuda.so.1", RTLD_NOW);
	CHECK(library);
	CHECK_EQ(CALL("cuInit", unsigned)(0), 0);
	for (unsigned i = 0; i < 2; i++) {
		open_library("TEST_NVJITLINK");
		void *link = link_begin(2, options);

		CHECK_EQ(link_add(link, LTOIR, "code", 4), 0);
		CHECK_STR(link_end(link, "nvJitLinkComplete"),
		    i ? PTX_OF_OPTIONS " -arch=sm_90a -lto -ptx code|"
		      : PTX_OF_OPTIONS " -arch=sm_120 -lto -ptx code|");
		options[0] = "-arch=sm_90a";
	}
}

/* ---- the device ---- */

TEST(libraries_see_a_later_device)
{
	int value, (*get)(int *, int, int);

	open_library("TEST_CUBLAS");
	int (*seen)(int) = function("client_attribute");
	library = dlopen("libcuda.so.1", RTLD_NOW);
	CHECK(library);
	CHECK_EQ(CALL("cuInit", unsigned)(0), 0);
	get = function("cuDeviceGetAttribute");
	CHECK_EQ(seen(75), 13);
	CHECK_EQ(seen(76), 0);
	CHECK_EQ(get(&value, 75, 0), 0);
	CHECK_EQ(value, 12);
	CHECK_EQ(get(&value, 10, 0), 0);
	CHECK_EQ(seen(10), value);
}

/* ---- the assembler ---- */

static int run(const char *command, char *output, size_t size)
{
	FILE *pipe = popen(command, "re");

	CHECK(pipe);
	output[fread(output, 1, size - 1, pipe)] = 0;
	return pclose(pipe);
}

TEST(assembler_packs_ptx)
{
	char command[512], output[1024], folder[] = "/tmp/ptxas-XXXXXX";
	const char *ptxas = getenv("TEST_PTXAS");

	if (!ptxas)
		SKIP("run it through the build");
	CHECK(mkdtemp(folder));
	snprintf(command, sizeof(command), "%s --version", ptxas);
	CHECK_EQ(run(command, output, sizeof(output)), 0);
	CHECK(strstr(output, "release 13.0,"));
	snprintf(command, sizeof(command),
	    "cd %s && printf '.version 8.0\\n.target sm_80\\n//1' >in && "
	    "%s -lineinfo -v -O 3 --gpu-name=sm_120a in -o out && cat out",
	    folder, ptxas);
	CHECK_EQ(run(command, output, sizeof(output)), 0);
	CHECK_STR(texts_of(output, sizeof(output)), ".version 8.0\n.target sm_80\n//1|");
	snprintf(
	    command, sizeof(command), "cd %s && echo no >in && %s in -o out 2>&1", folder, ptxas);
	CHECK_EQ(WEXITSTATUS(run(command, output, sizeof(output))), 255);
	CHECK(strstr(output, "in is no PTX"));
	snprintf(command, sizeof(command), "rm -r %s", folder);
	CHECK_EQ(run(command, output, sizeof(output)), 0);
}

static int start(const char *path)
{
	char *const arguments[] = {"ptxas", "--version", NULL};
	posix_spawn_file_actions_t actions;
	int status = -1;
	pid_t pid;

	CHECK_EQ(posix_spawn_file_actions_init(&actions), 0);
	CHECK_EQ(posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0), 0);
	int r = posix_spawn(&pid, path, &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r == 0)
		CHECK_EQ(waitpid(pid, &status, 0), pid);
	return r ?: status;
}

TEST(programs_with_a_gpu_start_our_assembler)
{
	if (!getenv("TEST_PTXAS"))
		SKIP("run it through the build");
	CHECK_EQ(start("/nonexistent/bin/ptxas"), ENOENT);
	CHECK(dlopen("libcuda.so.1", RTLD_NOW));
	CHECK_EQ(start("/nonexistent/bin/ptxas"), 0);
	CHECK_EQ(start("/nonexistent/bin/other"), ENOENT);
}
