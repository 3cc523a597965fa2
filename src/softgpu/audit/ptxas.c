/*
 * ptxas for the software GPU, for frameworks that run NVIDIA's as a program and let it be another
 * (Triton, XLA): packs the PTX as it is into an image of the software GPU. Options are taken and do
 * nothing, since what they ask for is decided when a kernel is first launched.
 *
 *	ptxas [OPTION ...] INPUT.ptx -o OUTPUT
 *	ptxas --version
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/image/image.h"

#define EXIT_BAD 255 /* ptxas's own, which callers take for PTX in error */

static char *file_read(const char *path, size_t *size)
{
	FILE *file = fopen(path, "re");
	size_t room = 1 << 16;
	char *text = malloc(room);

	*size = 0;
	while (file && text) {
		*size += fread(text + *size, 1, room - *size, file);
		if (*size < room)
			break;
		char *more = realloc(text, room *= 2);
		if (!more)
			free(text);
		text = more;
	}
	if (!file || ferror(file)) {
		free(text);
		text = NULL;
	}
	if (file)
		fclose(file);
	return text;
}

static bool file_write(const char *path, const void *data, size_t size)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return false;
	bool good = fwrite(data, 1, size, file) == size;
	return fclose(file) == 0 && good;
}

/* The words Triton looks for behind "release" decide which PTX it writes: that of CUDA 13.0. */
static int print_version(void)
{
	puts("ptxas: the software GPU's stand-in for NVIDIA's PTX optimizing assembler\n"
	     "Cuda compilation tools, release 13.0, V13.0.0");
	return EXIT_SUCCESS;
}

/* Options whose value is the next word where no "=" joins them. */
static bool takes_word(const char *option)
{
	static const char *const options[] = {"-o", "--output-file", "-arch", "--gpu-name", "-O",
	    "--opt-level", "-maxrregcount", "--maxrregcount", "-m", "--machine"};

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (!strcmp(option, options[i]))
			return true;
	return false;
}

struct job {
	const char *input, *output;
};

static void job_read(struct job *job, int argc, char **argv)
{
	*job = (struct job){.output = "elf.o"};
	for (int i = 1; i < argc; i++) {
		bool has_word = takes_word(argv[i]) && i + 1 < argc;

		if (!strncmp(argv[i], "--output-file=", 14))
			job->output = argv[i] + 14;
		else if (has_word && (!strcmp(argv[i], "-o") || !strcmp(argv[i], "--output-file")))
			job->output = argv[i + 1];
		else if (*argv[i] != '-')
			job->input = argv[i];
		i += has_word;
	}
}

int main(int argc, char **argv)
{
	struct sg_text text = {0};
	struct sg_text_head head;
	size_t size;
	struct job job;

	if (argc > 1 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")))
		return print_version();
	job_read(&job, argc, argv);
	if (!job.input) {
		fprintf(stderr, "ptxas: no input: give a file with PTX\n");
		return EXIT_BAD;
	}
	char *whole = file_read(job.input, &size);
	if (!whole) {
		fprintf(stderr, "ptxas: cannot read %s\n", job.input);
		return EXIT_BAD;
	}
	text = (struct sg_text){whole, strnlen(whole, size), whole};
	sg_text_head_read(&text, &head);
	void *image = head.version ? sg_image_pack(&text, 1, &size) : NULL;
	free(whole);
	if (!image) {
		fprintf(
		    stderr, "ptxas: %s is no PTX: it does not begin with .version\n", job.input);
		return EXIT_BAD;
	}
	bool good = file_write(job.output, image, size);
	free(image);
	if (!good)
		fprintf(stderr, "ptxas: cannot write %s\n", job.output);
	return good ? EXIT_SUCCESS : EXIT_BAD;
}
