/*
 * The device as NVIDIA's closed libraries see it: later than any they know. Their kernels are
 * machine code first; for the software GPU's own capability (12.0) they would choose that, for a
 * device of the future they fall back to their PTX. Programs and frameworks see the device as it
 * is, since their compilers must know it.
 *
 * Most of the libraries have a CUDA runtime of their own inside, which gets the driver's functions
 * by cuGetProcAddress(); cuRAND uses the program's.
 */
#include <string.h>

#include "abi/cuda.h"
#include "softgpu/audit/audit.h"

#define FUTURE_MAJOR 13

typedef int get_attribute_fn(int *value, int attribute, int device);

static int get_future_attribute(get_attribute_fn *real, int *value, int attribute, int device)
{
	int result = real(value, attribute, device), major;

	if (result != 0 || (attribute != CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR &&
			       attribute != CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR))
		return result;
	result = real(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device);
	if (result == 0 && major < FUTURE_MAJOR)
		*value =
		    attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? FUTURE_MAJOR : 0;
	return result;
}

static int driver_get_attribute(int *value, int attribute, int device)
{
	return get_future_attribute(
	    audit_real(&libcuda_library, "cuDeviceGetAttribute"), value, attribute, device);
}

/* The runtime's attributes have the driver's numbers. */
static int runtime_get_attribute(int *value, int attribute, int device)
{
	return get_future_attribute(
	    audit_real(&libcudart_library, "cudaDeviceGetAttribute"), value, attribute, device);
}

static CUresult get_proc_address_v1(const char *, void **, int, uint64_t);
static CUresult get_proc_address_v2(const char *, void **, int, uint64_t, int *);

/* The status came with CUDA 12.0. */
static void replace(const char *symbol, int version, void **function)
{
	if (!strcmp(symbol, "cuDeviceGetAttribute"))
		*function = driver_get_attribute;
	else if (!strcmp(symbol, "cuGetProcAddress") && version < 12000)
		*function = get_proc_address_v1;
	else if (!strcmp(symbol, "cuGetProcAddress"))
		*function = get_proc_address_v2;
}

static CUresult get_proc_address_v1(
    const char *symbol, void **function, int version, uint64_t flags)
{
	CUresult result = REAL(libcuda_library, "cuGetProcAddress", const char *, void **, int,
	    uint64_t)(symbol, function, version, flags);

	if (result == CUDA_SUCCESS && *function)
		replace(symbol, version, function);
	return result;
}

static CUresult get_proc_address_v2(
    const char *symbol, void **function, int version, uint64_t flags, int *status)
{
	CUresult result = REAL(libcuda_library, "cuGetProcAddress_v2", const char *, void **, int,
	    uint64_t, int *)(symbol, function, version, flags, status);

	if (result == CUDA_SUCCESS && *function)
		replace(symbol, version, function);
	return result;
}

static const struct audit_function driver_functions[] = {
    {"cuDeviceGetAttribute", driver_get_attribute},
    {"cuGetProcAddress_v2", get_proc_address_v2},
    {"cuGetProcAddress", get_proc_address_v1},
    {0},
};

static const struct audit_function runtime_functions[] = {
    {"cudaDeviceGetAttribute", runtime_get_attribute},
    {0},
};

struct audit_library libcuda_library = {
    .file = "libcuda.so.1", .functions = driver_functions, .is_for_clients = true};
struct audit_library libcudart_library = {
    .file = "libcudart.so", .functions = runtime_functions, .is_for_clients = true};
