/*
 * The demo: renders a scene with any CUDA driver and writes it as a PNG. A plain program on the
 * CUDA driver API that knows nothing of Rosen: two streams render strips of the picture in turn
 * into device memory, and each strip is copied to pinned memory behind its kernel.
 */
#include <cuda.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STREAMS = 2, STRIP = 40, BLOCK_X = 16, BLOCK_Y = 4 };

struct picture {
	const char *path;
	int width, height, samples;
	unsigned char *pixels; /* pinned, 3 bytes a pixel */
};

/* raymarch.ptx, as text in the program. RAYMARCH_PTX is its path (meson.build). */
extern const char raymarch_ptx[];
__asm__(".section .rodata\n"
	".global raymarch_ptx\n"
	"raymarch_ptx:\n"
	".incbin \"" RAYMARCH_PTX "\"\n"
	".byte 0\n"
	".previous\n");

static void check(CUresult r, const char *what)
{
	const char *text = NULL;

	if (r == CUDA_SUCCESS)
		return;
	cuGetErrorString(r, &text);
	fprintf(stderr, "raymarch: %s: %s\n", what, text ? text : "unknown error");
	exit(EXIT_FAILURE);
}

static void usage(void)
{
	fprintf(stderr,
	    "usage: raymarch [-o FILE.png] [-s WIDTHxHEIGHT] [-n SAMPLES]\n"
	    "Renders a scene on CUDA device 0. SAMPLES squared rays a pixel; default 2.\n");
	exit(2);
}

static void parse(int argc, char **argv, struct picture *picture)
{
	for (int option; (option = getopt(argc, argv, "o:s:n:")) != -1;) {
		if (option == 'o')
			picture->path = optarg;
		else if (option == 's' &&
			 sscanf(optarg, "%dx%d", &picture->width, &picture->height) == 2)
			continue;
		else if (option == 'n')
			picture->samples = atoi(optarg);
		else
			usage();
	}
	if (optind != argc || picture->width < 1 || picture->height < 1 || picture->width > 8192 ||
	    picture->height > 8192 || picture->samples < 1 || picture->samples > 8)
		usage();
}

static void show_progress(int rows, int height)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\rrendering: %3d %%%s", rows * 100 / height,
		    rows == height ? "\n" : "");
}

static void render(struct picture *picture)
{
	CUmodule module;
	CUfunction kernel;
	CUstream streams[STREAMS];
	CUevent copied[STREAMS];
	CUdeviceptr strips[STREAMS];
	size_t row_size = (size_t)picture->width * 3;

	check(cuModuleLoadData(&module, raymarch_ptx), "loading the kernel");
	check(cuModuleGetFunction(&kernel, module, "render"), "finding the kernel");
	for (int i = 0; i < STREAMS; i++) {
		check(cuStreamCreate(&streams[i], CU_STREAM_NON_BLOCKING), "making a stream");
		check(cuEventCreate(&copied[i], CU_EVENT_DISABLE_TIMING), "making an event");
		check(cuMemAlloc(&strips[i], row_size * STRIP), "device memory for a strip");
	}
	for (int first = 0, turn = 0; first < picture->height; first += STRIP, turn = !turn) {
		int rows = picture->height - first < STRIP ? picture->height - first : STRIP;
		void *parameters[] = {&strips[turn], &picture->width, &picture->height, &first,
		    &rows, &picture->samples};

		/* At most one strip a stream is under way, so that the progress told is real. */
		check(cuEventSynchronize(copied[turn]), "waiting for a strip");
		check(cuLaunchKernel(kernel, (unsigned)(picture->width + BLOCK_X - 1) / BLOCK_X,
			  (unsigned)(rows + BLOCK_Y - 1) / BLOCK_Y, 1, BLOCK_X, BLOCK_Y, 1, 0,
			  streams[turn], parameters, NULL),
		    "launching the kernel");
		check(cuMemcpyDtoHAsync(picture->pixels + row_size * (size_t)first, strips[turn],
			  row_size * (size_t)rows, streams[turn]),
		    "copying a strip");
		check(cuEventRecord(copied[turn], streams[turn]), "recording an event");
		show_progress(first, picture->height);
	}
	check(cuCtxSynchronize(), "waiting for the picture");
	show_progress(picture->height, picture->height);
	for (int i = 0; i < STREAMS; i++) {
		check(cuMemFree(strips[i]), "freeing a strip");
		check(cuEventDestroy(copied[i]), "ending an event");
		check(cuStreamDestroy(streams[i]), "ending a stream");
	}
	check(cuModuleUnload(module), "unloading the kernel");
}

static void write_png(const struct picture *picture)
{
	png_image image = {.version = PNG_IMAGE_VERSION,
	    .width = (png_uint_32)picture->width,
	    .height = (png_uint_32)picture->height,
	    .format = PNG_FORMAT_RGB};

	if (!png_image_write_to_file(&image, picture->path, 0, picture->pixels, 0, NULL)) {
		fprintf(stderr, "raymarch: %s: %s\n", picture->path, image.message);
		exit(EXIT_FAILURE);
	}
}

int main(int argc, char **argv)
{
	struct picture picture = {
	    .path = "raymarch.png", .width = 960, .height = 600, .samples = 2};
	CUdevice device;
	CUcontext context;
	char name[128];

	parse(argc, argv, &picture);
	check(cuInit(0), "starting CUDA");
	check(cuDeviceGet(&device, 0), "device 0");
	check(cuDeviceGetName(name, sizeof(name), device), "the device's name");
	check(cuDevicePrimaryCtxRetain(&context, device), "the device's context");
	check(cuCtxSetCurrent(context), "the device's context");
	check(cuMemAllocHost(
		  (void **)&picture.pixels, (size_t)picture.width * (size_t)picture.height * 3),
	    "pinned memory for the picture");
	render(&picture);
	write_png(&picture);
	check(cuMemFreeHost(picture.pixels), "freeing pinned memory");
	check(cuDevicePrimaryCtxRelease(device), "releasing the context");
	printf("%s: %d x %d, rendered on %s\n", picture.path, picture.width, picture.height, name);
	return EXIT_SUCCESS;
}
