// gpus: 2
// timeout: 60
/* CUDA_VISIBLE_DEVICES in a child process: order, subsets, UUIDs, and lists that end early. */
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "check.h"

static std::string uuid_of(int device)
{
	cudaDeviceProp p;
	char text[64] = "GPU-", *at = text + 4;
	CHECK(cudaGetDeviceProperties(&p, device));
	for (int i = 0; i < 16; i++)
		at += sprintf(at, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
		    (unsigned char)p.uuid.bytes[i]);
	return text;
}

static __global__ void store(int *out)
{
	*out = 17;
}

/* What a child sees: each device's place in the parent's list, then whether it works. */
static int show(int n, char **uuids)
{
	int count = 0;
	cudaError_t r = cudaGetDeviceCount(&count);
	printf("  %s, %d devices:", cudaGetErrorName(r), r == cudaSuccess ? count : 0);
	for (int d = 0; r == cudaSuccess && d < count; d++) {
		std::string mine = uuid_of(d);
		for (int i = 0; i < n; i++)
			if (mine == uuids[i])
				printf(" %d", i);
		CHECK(cudaSetDevice(d));
		device_array<int> out(1);
		store<<<1, 1>>>(out.data);
		EXPECT(out.read()[0] == 17);
	}
	printf("\n");
	return 0;
}

int main(int n, char **arguments)
{
	if (n > 1)
		return show(n - 1, arguments + 1);
	std::string first = uuid_of(0), second = uuid_of(1);
	std::string lists[] = {"0", "1", "1,0", "0,1", first, second + "," + first, "", "-1",
	    "1,-1,0", "0,7,1", "nonsense", "0,0", first.substr(0, 12)};
	for (auto &list : lists) {
		bool by_uuid = list.rfind("GPU-", 0) == 0;
		printf("%s\n", by_uuid ? "by UUID" : list.c_str());
		fflush(stdout);
		pid_t child = fork();
		EXPECT(child >= 0);
		if (child == 0) {
			setenv("CUDA_VISIBLE_DEVICES", list.c_str(), 1);
			execl("/proc/self/exe", arguments[0], first.c_str(), second.c_str(),
			    (char *)nullptr);
			_exit(127);
		}
		int status;
		EXPECT(waitpid(child, &status, 0) == child);
		EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	return 0;
}
