/* A library that, like NVIDIA's, asks what device there is by a runtime of its own. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

typedef int proc_fn(const char *name, void **function, int version, uint64_t flags, int *status);
typedef int attribute_fn(int *value, int attribute, int device);

__attribute__((visibility("default"))) int client_attribute(int attribute);

int client_attribute(int attribute)
{
	void *driver = dlopen("libcuda.so.1", RTLD_NOW), *function = NULL;
	proc_fn *get = driver ? (proc_fn *)dlsym(driver, "cuGetProcAddress_v2") : NULL;
	int value = -1, status;

	/* The runtime's way: by the function that the function of that name gives. */
	if (!get || get("cuGetProcAddress", &function, 12000, 0, &status) != 0)
		return -1;
	get = (proc_fn *)function;
	if (get("cuDeviceGetAttribute", &function, 2000, 0, &status) != 0 ||
	    ((attribute_fn *)function)(&value, attribute, 0) != 0)
		return -1;
	return value;
}
