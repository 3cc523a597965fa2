/*
 * seed-dispatch DIRECTORY: writes the first inputs of fuzz-dispatch into DIRECTORY, so that the
 * fuzzer begins with calls that make sense: small programs, encoded as a shim would.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/api_codec.h"
#include "gen/api_ids.h"
#include "wire/handle.h"
#include "worker/fuzz-records.h"
#include "worker/worker.h"

static FILE *out;
static uint8_t lane = 1;

static void put(uint32_t id, uint8_t flags, const void *payload, size_t size)
{
	struct fuzz_head head = {(uint16_t)id, flags, lane, (uint32_t)(size / 8)};

	fwrite(&head, sizeof(head), 1, out);
	fwrite(payload, size, 1, out);
}

#define PUT(name, reply, ...)                                                                      \
	do {                                                                                       \
		struct args_##name a = {__VA_ARGS__};                                              \
		uint8_t payload[8192];                                                             \
		struct wire_writer w = wire_writer(payload, wire_size_##name(&a));                 \
		wire_encode_##name(&w, &a);                                                        \
		put(API_##name, (reply) ? WIRE_F_REPLY : 0, payload, wire_size_##name(&a));        \
	} while (0)

static uint64_t id_of(enum handle_kind kind)
{
	return handle_id(false, kind, 1, 1);
}

static void begin(const char *directory, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	out = fopen(path, "w");
	if (!out) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	PUT(cuDevicePrimaryCtxRetain, true, 0);
	PUT(rosenLaneState, false, handle_primary_context(0), 0);
}

static void memory(const char *directory)
{
	CUdeviceptr address = 0, device = WIRE_DEVICE_WINDOW_BASE;
	size_t pitch = 0, free_bytes = 0, total = 0;
	char bytes[100] = "bytes";

	begin(directory, "memory");
	PUT(cuMemAlloc_v2, true, &address, 1000);
	PUT(cuMemAllocPitch_v2, true, &address, &pitch, 100, 10, 4);
	PUT(cuMemAlloc_v2, true, &address, 3 << 20);
	PUT(rosenCopyIn, false, device, bytes, sizeof(bytes), NULL);
	PUT(rosenCopyOut, true, bytes, device, sizeof(bytes), NULL);
	PUT(rosenCopyInStaged, false, device, 65536, 500, NULL);
	PUT(rosenCopyOutStaged, true, 65536, device, 500, NULL);
	PUT(rosenCopyBoxWait, true, 2, device, NULL, NULL, 0, 0, 0, 0, 16, 4, 0, 65536, NULL, NULL,
	    0, 0, 0, 0, 16, 4, 16, 4, 1, NULL);
	PUT(rosenCopyBox, false, 0, 131072, NULL, NULL, 0, 0, 0, 0, 16, 4, 2, device, NULL, NULL, 0,
	    0, 0, 0, 16, 4, 16, 4, 1, NULL);
	PUT(cuMemcpyDtoDAsync_v2, false, device, device + 512, 100, CU_STREAM_PER_THREAD);
	PUT(cuMemGetInfo_v2, true, &free_bytes, &total);
	PUT(cuMemGetAddressRange_v2, true, &address, &pitch, device + 10);
	PUT(cuMemFree_v2, true, device);
	fclose(out);
}

static void work(const char *directory)
{
	static const char image[] = ".version 7.0\n";
	uint64_t module = id_of(HANDLE_MODULE), stream = id_of(HANDLE_STREAM);
	uint64_t event = id_of(HANDLE_EVENT), parameters[2] = {1, 2}, layout[8] = {0};
	uint64_t graph = 0;
	CUfunction function = NULL;
	/* What the worker mints first. */
	CUfunction minted = (CUfunction)handle_id(true, HANDLE_FUNCTION, 1, 0);
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE};
	unsigned n = 0;
	int threads = 0, shared = 0;

	begin(directory, "work");
	PUT(cuModuleLoadDataEx, true, (CUmodule *)&module, image, sizeof(image));
	PUT(cuModuleGetFunction, true, &function, (CUmodule)module, "f");
	PUT(rosenFunctionInfo, true, minted, layout, 8, &n, &threads, &shared);
	PUT(cuStreamCreate, false, (CUstream *)&stream, 0);
	PUT(cuEventCreate, false, (CUevent *)&event, 0);
	PUT(cuLaunchKernel, false, minted, 1, 1, 1, 32, 1, 1, 0, (CUstream)stream, parameters, 12);
	PUT(cuLaunchKernelEx, false, minted, 1, 1, 1, 32, 1, 1, 0, (CUstream)stream, &attribute, 1,
	    parameters, 12);
	PUT(cuEventRecord, false, (CUevent)event, (CUstream)stream);
	PUT(cuStreamBeginCapture_v2, true, (CUstream)stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
	PUT(cuStreamEndCapture, true, (CUstream)stream, (CUgraph *)&graph);
	PUT(cuStreamSynchronize, true, (CUstream)stream);
	PUT(cuCtxSynchronize, true, 0);
	PUT(cuStreamDestroy_v2, false, (CUstream)stream);
	PUT(cuModuleUnload, true, (CUmodule)module);
	PUT(rosenLaneEnd, false, 0);
	fclose(out);
}

static void compilers(const char *directory)
{
	CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	uint64_t values[] = {0, 64}, module = id_of(HANDLE_MODULE), link = id_of(HANDLE_LINK);
	static const char image[] = ".version 7.0\nbroken";
	char errors[64] = "", info[64] = "";
	size_t info_used = 0, error_used = 0;

	begin(directory, "compilers");
	PUT(cuModuleLoadDataEx, true, (CUmodule *)&module, image, sizeof(image), NULL, 0, 2,
	    options, values, NULL, 0, errors, sizeof(errors));
	PUT(rosenJitLog, true, info, sizeof(info), &info_used, errors, sizeof(errors), &error_used);
	PUT(cuLinkCreate_v2, true, 2, options, values, 64, 64, (CUlinkState *)&link);
	PUT(cuLinkAddData_v2, true, (CUlinkState)link, CU_JIT_INPUT_PTX, image, sizeof(image), "x");
	PUT(cuLinkDestroy, true, (CUlinkState)link);
	fclose(out);
}

static void device(const char *directory)
{
	CUdeviceptr address = 0, range = WIRE_DEVICE_WINDOW_BASE + WIRE_DEVICE_WINDOW_SIZE / 2;
	uint64_t physical = id_of(HANDLE_ALLOCATION);
	CUmemAllocationProp properties = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
	    .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
	CUmemAccessDesc access = {
	    .location = properties.location, .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
	char blob[4096];
	size_t needed = 0;

	begin(directory, "device");
	PUT(rosenSnapshot, true, blob, sizeof(blob), &needed);
	PUT(rosenDeviceStatus, true, 0, blob, 200);
	PUT(cuMemAddressReserve, true, &address, 4 << 20, 0, 0, 0);
	PUT(cuMemCreate, true, (CUmemGenericAllocationHandle *)&physical, 2 << 20, &properties, 0);
	PUT(cuMemMap, true, range, 2 << 20, 0, physical, 0);
	PUT(cuMemSetAccess, true, range, 2 << 20, &access, 1);
	PUT(cuMemUnmap, true, range, 2 << 20);
	PUT(cuMemRelease, true, physical);
	PUT(cuMemAddressFree, true, range, 4 << 20);
	PUT(cuDevicePrimaryCtxRelease_v2, true, 0);
	fclose(out);
}

static void side(uint8_t flags, uint64_t number, uint64_t address, uint64_t size)
{
	uint64_t words[] = {number, address, size};

	put(FUZZ_SIDE, flags, words, sizeof(words));
}

static void segments(const char *directory)
{
	uint64_t pinned = WIRE_HOST_WINDOW_BASE, own = UINT64_C(0x200000000000);

	begin(directory, "segments");
	side(FUZZ_SIDE_SEALED, 1, pinned, 65536);
	PUT(rosenSegmentMap, true, 1, pinned, 65536, 0);
	PUT(rosenCopyBoxWait, true, 2, WIRE_DEVICE_WINDOW_BASE, NULL, NULL, 0, 0, 0, 0, 16, 4, 1,
	    pinned, NULL, NULL, 0, 0, 0, 0, 16, 4, 16, 4, 1, NULL);
	side(FUZZ_SIDE_FILE, 2, 4096, 65536);
	PUT(rosenSegmentRegister, true, 2, own, 8192, 0);
	side(FUZZ_SIDE_SEALED, 3, own, 4096);
	PUT(rosenMirrorPages, true, 3, own, 4096);
	PUT(rosenSegmentUnmap, true, 2);
	PUT(rosenSegmentUnmap, true, 1);
	fclose(out);
}

/* In a range that another thread would like to free. */
static void placed(const char *directory)
{
	CUdeviceptr address = 0, at = WIRE_DEVICE_WINDOW_BASE + WIRE_DEVICE_WINDOW_SIZE / 2;

	begin(directory, "placed");
	PUT(cuMemAddressReserve, true, &address, 4 << 20, 0, at, 0);
	side(FUZZ_SIDE_SEALED, 4, at, 65536);
	PUT(rosenSegmentPlace, true, 4, at, 65536);
	PUT(rosenCopyBoxWait, true, 2, at, NULL, NULL, 0, 0, 0, 0, 16, 4, 1, at + 4096, NULL, NULL,
	    0, 0, 0, 0, 16, 4, 16, 4, 1, NULL);
	lane = 2;
	PUT(cuMemAddressFree, true, at, 4 << 20);
	PUT(rosenSegmentUnmap, true, 4);
	PUT(cuMemAddressFree, true, at, 4 << 20);
	lane = 1;
	side(FUZZ_SIDE_SEALED, 5, at, 65536);
	PUT(rosenSegmentPlace, true, 5, at + 65536, 65536);
	lane = 2;
	PUT(cuMemAddressFree, true, at, 4 << 20);
	lane = 1;
	PUT(rosenSegmentUnmap, true, 5);
	PUT(cuMemAddressFree, true, at, 4 << 20);
	fclose(out);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: seed-dispatch DIRECTORY\n");
		return EXIT_FAILURE;
	}
	memory(argv[1]);
	work(argv[1]);
	compilers(argv[1]);
	device(argv[1]);
	segments(argv[1]);
	placed(argv[1]);
	return EXIT_SUCCESS;
}
