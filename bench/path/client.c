/* See path.h. One thread reads the orders; calls.c starts others and waits for them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "path.h"

#define ORDER_MAX 256

const struct measure_table *path;

void give_up(const char *format, ...)
{
	va_list arguments;

	printf("{\"error\":\"");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\"}\n");
	fflush(stdout);
	exit(EXIT_FAILURE);
}

void must(CUresult r, const char *what)
{
	const char *name = NULL;

	if (r == CUDA_SUCCESS)
		return;
	cuGetErrorName(r, &name);
	give_up("%s: %s (%d)", what, name ?: "unknown error", (int)r);
}

/* Text as it may stand in JSON: what a device is called needs no escapes but these. */
static void drop_quotes(char *text)
{
	for (; *text; text++)
		if (*text == '"' || *text == '\\' || (unsigned char)*text < ' ')
			*text = ' ';
}

static void first(void)
{
	static const CUuuid id = MEASURE_TABLE_ID;
	const void *table = NULL;
	CUcontext context;
	char name[128] = "";
	uint64_t start = clock_now_ns();

	must(cuInit(0), "the GPU cannot be used (cuInit)");
	must(cuDevicePrimaryCtxRetain(&context, 0), "no context can be made");
	uint64_t ns = clock_now_ns() - start;
	must(cuCtxSetCurrent(context), "the context cannot be used");
	must(cuDeviceGetName(name, sizeof(name), 0), "the device has no name");
	if (cuGetExportTable(&table, &id) != CUDA_SUCCESS)
		give_up("this libcuda.so.1 is not this Rosen's: its path cannot be measured");
	path = table;
	drop_quotes(name);
	printf("{\"ms\":%.3f,\"device\":\"%s\"}\n", (double)ns / 1e6, name);
}

static void obey(const char *order)
{
	char direction[8], memory[16];
	unsigned long long bytes, ms;
	unsigned n;

	if (!strcmp(order, "first\n"))
		first();
	else if (!path)
		give_up("the first order must be first");
	else if (sscanf(order, "null %llu", &ms) == 1)
		calls_null(ms);
	else if (sscanf(order, "post %llu", &ms) == 1)
		calls_post(ms);
	else if (sscanf(order, "stream %llu", &ms) == 1)
		calls_stream(ms);
	else if (sscanf(order, "threads %u %llu", &n, &ms) == 2)
		calls_threads(n, ms);
	else if (sscanf(order, "copy %llu %7s %15s %llu", &bytes, direction, memory, &ms) == 4)
		copies_measure(bytes, !strcmp(direction, "h2d"), !strcmp(memory, "pinned"), ms);
	else
		give_up("there is no such order");
	fflush(stdout);
}

int main(void)
{
	char order[ORDER_MAX];

	while (fgets(order, sizeof(order), stdin))
		obey(order);
	return EXIT_SUCCESS;
}
