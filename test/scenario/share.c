/*
 * A program that shares memory with another one of its kind, for the scenario tests. It does what
 * lines on its standard input say and answers each with a line:
 *
 *	alloc WORD	memory filled with a word; its inter-process handle in hexadecimal
 *	event		an inter-process event; its handle
 *	open HANDLE	opens memory of another process
 *	read		the first and the last word of the memory it has, which must be the same
 *	fill WORD
 *	close		what it opened
 *	free		what it allocated
 *
 * The answer is the name of CUDA's error where there was one.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda.h>

enum { WORDS = 1 << 20 };

static CUdeviceptr memory;

static const char *name_of(CUresult r)
{
	const char *name = NULL;

	return cuGetErrorName(r, &name) == CUDA_SUCCESS ? name : "an unknown code";
}

static CUresult begin(void)
{
	CUcontext context;
	CUdevice device;

	CUresult r = cuInit(0);
	r = r ?: cuDeviceGet(&device, 0);
	r = r ?: cuDevicePrimaryCtxRetain(&context, device);
	return r ?: cuCtxSetCurrent(context);
}

static CUresult answer_handle(CUresult r, const void *handle)
{
	for (size_t i = 0; r == CUDA_SUCCESS && i < 64; i++)
		printf("%02x", ((const uint8_t *)handle)[i]);
	return r;
}

static CUresult allocate(const char *word)
{
	CUipcMemHandle handle;

	CUresult r = cuMemAlloc(&memory, 4 * (size_t)WORDS);
	r = r ?: cuMemsetD32(memory, (unsigned)strtoul(word, NULL, 10), WORDS);
	return answer_handle(r ?: cuIpcGetMemHandle(&handle, memory), &handle);
}

static CUresult make_event(const char *unused)
{
	CUipcEventHandle handle;
	CUevent event;

	CUresult r = cuEventCreate(&event, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING);
	return answer_handle(r ?: cuIpcGetEventHandle(&handle, event), &handle);
}

static CUresult open_memory(const char *text)
{
	CUipcMemHandle handle = {0};

	for (size_t i = 0; i < 64 && text[2 * i] && text[2 * i + 1]; i++) {
		char digits[3] = {text[2 * i], text[2 * i + 1], 0};
		handle.reserved[i] = (char)strtoul(digits, NULL, 16);
	}
	return cuIpcOpenMemHandle(&memory, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS);
}

static CUresult read_memory(const char *unused)
{
	unsigned first = 0, last = 1;

	CUresult r = cuMemcpyDtoH(&first, memory, 4);
	r = r ?: cuMemcpyDtoH(&last, memory + 4 * (size_t)(WORDS - 1), 4);
	if (r == CUDA_SUCCESS && first == last)
		printf("%u", first);
	else if (r == CUDA_SUCCESS)
		printf("%u and %u", first, last);
	return r;
}

static CUresult fill_memory(const char *word)
{
	return cuMemsetD32(memory, (unsigned)strtoul(word, NULL, 10), WORDS) ?: cuCtxSynchronize();
}

static CUresult close_memory(const char *unused)
{
	return cuIpcCloseMemHandle(memory);
}

static CUresult free_memory(const char *unused)
{
	return cuMemFree(memory);
}

static CUresult obey(const char *line)
{
	static const struct {
		const char *order;
		CUresult (*run)(const char *rest);
	} orders[] = {
	    {"alloc", allocate},
	    {"event", make_event},
	    {"open", open_memory},
	    {"read", read_memory},
	    {"fill", fill_memory},
	    {"close", close_memory},
	    {"free", free_memory},
	};

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		size_t length = strlen(orders[i].order);
		if (!strncmp(line, orders[i].order, length))
			return orders[i].run(line + length + (line[length] == ' '));
	}
	return CUDA_ERROR_INVALID_VALUE;
}

int main(void)
{
	char line[256];

	CUresult begun = begin();
	puts(begun == CUDA_SUCCESS ? "ready" : name_of(begun));
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		CUresult r = obey(line);
		puts(r == CUDA_SUCCESS ? "" : name_of(r));
		fflush(stdout);
	}
	return 0;
}
