/*
 * Loads one large fatbin several times and runs a kernel of it each time. The fatbin has PTX of one
 * MiB and, as libraries for all GPUs have, code for GPUs that are not there. Environment: LOADS,
 * how often (1); FOREIGN_MIB, how much of the other code (3); WAIT, if there: it says "ready" and
 * loads after a line of input.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../conform/conform.h"

enum { TEXT = 1 << 20, N = 1000 };

static uint8_t *fatbin;

static size_t number(const char *name, size_t standard)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : standard;
}

static uint8_t *member(uint8_t *at, uint16_t kind, uint32_t sm, uint64_t size)
{
	uint16_t version = 0x101;
	uint32_t header = 64;
	uint64_t flags = 1;

	memcpy(at, &kind, 2);
	memcpy(at + 2, &version, 2);
	memcpy(at + 4, &header, 4);
	memcpy(at + 8, &size, 8);
	memcpy(at + 28, &sm, 4);
	memcpy(at + 40, &flags, 8);
	return at + 64;
}

static void build(void)
{
	uint32_t magic = 0xba55ed50;
	uint16_t words[2] = {1, 16};
	size_t text = strlen(conform_ptx), foreign = number("FOREIGN_MIB", 3) << 20;
	uint64_t body = 64 + TEXT + 64 + foreign;

	fatbin = calloc(1, 16 + body);
	CHECK(fatbin);
	memcpy(fatbin, &magic, 4);
	memcpy(fatbin + 4, words, 4);
	memcpy(fatbin + 8, &body, 8);
	uint8_t *at = member(fatbin + 16, 2, 20, foreign);
	memset(at, 0x55, foreign);
	at = member(at + foreign, 1, 50, TEXT);
	memcpy(at, conform_ptx, text);
	memset(at + text, '\n', TEXT - text - 1);
}

static void load_and_run(unsigned value)
{
	static unsigned words[N];
	CUdeviceptr data;
	CUfunction fill;
	CUmodule module;
	int n = N;

	OK(cuModuleLoadData(&module, fatbin));
	OK(cuModuleGetFunction(&fill, module, "fill"));
	OK(cuMemAlloc(&data, sizeof(words)));
	OK(conform_launch(fill, 4, 64, 0, NULL, (void *[]){&data, &value, &n}));
	OK(cuMemcpyDtoH(words, data, sizeof(words)));
	for (int i = 0; i < N; i++)
		CHECK_EQ(words[i], value);
	OK(cuMemFree(data));
	OK(cuModuleUnload(module));
}

TEST_WITH(images, 120, true)
{
	conform_begin();
	build();
	if (getenv("WAIT")) {
		printf("ready\n");
		fflush(stdout);
		getchar();
	}
	for (size_t i = 0; i < number("LOADS", 1); i++)
		load_and_run((unsigned)i);
}
