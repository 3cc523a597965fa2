/*
 * What ties CUDA to the world around it: memory and semaphores made elsewhere, graphics resources,
 * checkpoints, core dumps, logs, the profiler.
 */
#pragma once

#define CUDA_EXTERNAL_MEMORY_DEDICATED			     0x1
#define CUDA_EXTERNAL_SEMAPHORE_SIGNAL_SKIP_NVSCIBUF_MEMSYNC 0x01
#define CUDA_EXTERNAL_SEMAPHORE_WAIT_SKIP_NVSCIBUF_MEMSYNC   0x02
#define CUDA_NVSCISYNC_ATTR_SIGNAL			     0x1
#define CUDA_NVSCISYNC_ATTR_WAIT			     0x2

typedef enum {
	CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD = 1,
	CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_WIN32,
	CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_WIN32_KMT,
	CU_EXTERNAL_MEMORY_HANDLE_TYPE_D3D12_HEAP,
	CU_EXTERNAL_MEMORY_HANDLE_TYPE_D3D12_RESOURCE,
	CU_EXTERNAL_MEMORY_HANDLE_TYPE_D3D11_RESOURCE,
	CU_EXTERNAL_MEMORY_HANDLE_TYPE_D3D11_RESOURCE_KMT,
	CU_EXTERNAL_MEMORY_HANDLE_TYPE_NVSCIBUF,
	CU_EXTERNAL_MEMORY_HANDLE_TYPE_DMABUF_FD,
} CUexternalMemoryHandleType;

typedef struct {
	CUexternalMemoryHandleType type;
	union {
		int fd;
		struct {
			void *handle;
			const void *name;
		} win32;
		const void *nvSciBufObject;
	} handle;
	unsigned long long size;
	unsigned flags, reserved[16];
} CUDA_EXTERNAL_MEMORY_HANDLE_DESC;

typedef struct {
	unsigned long long offset, size;
	unsigned flags, reserved[16];
} CUDA_EXTERNAL_MEMORY_BUFFER_DESC;

typedef struct {
	unsigned long long offset;
	CUDA_ARRAY3D_DESCRIPTOR arrayDesc;
	unsigned numLevels, reserved[16];
} CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC;

typedef enum {
	CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD = 1,
	CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_WIN32,
	CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_WIN32_KMT,
	CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_D3D12_FENCE,
	CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_D3D11_FENCE,
	CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_NVSCISYNC,
	CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_D3D11_KEYED_MUTEX,
	CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_D3D11_KEYED_MUTEX_KMT,
	CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_TIMELINE_SEMAPHORE_FD,
	CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_TIMELINE_SEMAPHORE_WIN32,
} CUexternalSemaphoreHandleType;

typedef struct {
	CUexternalSemaphoreHandleType type;
	union {
		int fd;
		struct {
			void *handle;
			const void *name;
		} win32;
		const void *nvSciSyncObj;
	} handle;
	unsigned flags, reserved[16];
} CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC;

typedef struct {
	struct {
		struct {
			unsigned long long value;
		} fence;
		union {
			void *fence;
			unsigned long long reserved;
		} nvSciSync;
		struct {
			unsigned long long key;
		} keyedMutex;
		unsigned reserved[12];
	} params;
	unsigned flags, reserved[16];
} CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS;

typedef struct {
	struct {
		struct {
			unsigned long long value;
		} fence;
		union {
			void *fence;
			unsigned long long reserved;
		} nvSciSync;
		struct {
			unsigned long long key;
			unsigned timeoutMs;
		} keyedMutex;
		unsigned reserved[10];
	} params;
	unsigned flags, reserved[16];
} CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS;

/* Graphics resources. */
typedef enum {
	CU_GRAPHICS_REGISTER_FLAGS_NONE = 0,
	CU_GRAPHICS_REGISTER_FLAGS_READ_ONLY = 1,
	CU_GRAPHICS_REGISTER_FLAGS_WRITE_DISCARD = 2,
	CU_GRAPHICS_REGISTER_FLAGS_SURFACE_LDST = 4,
	CU_GRAPHICS_REGISTER_FLAGS_TEXTURE_GATHER = 8,
} CUgraphicsRegisterFlags;

typedef enum {
	CU_GRAPHICS_MAP_RESOURCE_FLAGS_NONE,
	CU_GRAPHICS_MAP_RESOURCE_FLAGS_READ_ONLY,
	CU_GRAPHICS_MAP_RESOURCE_FLAGS_WRITE_DISCARD,
} CUgraphicsMapResourceFlags;

/* Checkpoint and restore of a process. */
typedef enum {
	CU_PROCESS_STATE_RUNNING,
	CU_PROCESS_STATE_LOCKED,
	CU_PROCESS_STATE_CHECKPOINTED,
	CU_PROCESS_STATE_FAILED,
} CUprocessState;

typedef struct {
	unsigned timeoutMs, reserved0;
	uint64_t reserved1[7];
} CUcheckpointLockArgs;

typedef struct {
	uint64_t reserved[8];
} CUcheckpointCheckpointArgs;

typedef struct {
	CUuuid oldUuid, newUuid;
} CUcheckpointGpuPair;

typedef struct {
	CUcheckpointGpuPair *gpuPairs;
	unsigned gpuPairsCount;
	char reserved[52 - (sizeof(CUcheckpointGpuPair *))];
	uint64_t reserved1;
} CUcheckpointRestoreArgs;

typedef struct {
	uint64_t reserved[8];
} CUcheckpointUnlockArgs;

typedef enum {
	CU_COREDUMP_ENABLE_ON_EXCEPTION = 1,
	CU_COREDUMP_TRIGGER_HOST,
	CU_COREDUMP_LIGHTWEIGHT,
	CU_COREDUMP_ENABLE_USER_TRIGGER,
	CU_COREDUMP_FILE,
	CU_COREDUMP_PIPE,
	CU_COREDUMP_GENERATION_FLAGS,
	CU_COREDUMP_MAX,
} CUcoredumpSettings;

typedef enum {
	CU_COREDUMP_DEFAULT_FLAGS,
	CU_COREDUMP_SKIP_NONRELOCATED_ELF_IMAGES,
	CU_COREDUMP_SKIP_GLOBAL_MEMORY,
	CU_COREDUMP_SKIP_SHARED_MEMORY = 4,
	CU_COREDUMP_SKIP_LOCAL_MEMORY = 8,
	CU_COREDUMP_SKIP_ABORT = 16,
	CU_COREDUMP_SKIP_CONSTBANK_MEMORY = 32,
	CU_COREDUMP_LIGHTWEIGHT_FLAGS = 47,
} CUCoredumpGenerationFlags;

typedef enum {
	CU_LOG_LEVEL_ERROR,
	CU_LOG_LEVEL_WARNING,
} CUlogLevel;

typedef void (*CUlogsCallback)(void *data, CUlogLevel level, char *message, size_t length);
typedef unsigned CUlogIterator;

/* The legacy profiler's output. */
typedef enum {
	CU_OUT_KEY_VALUE_PAIR,
	CU_OUT_CSV,
} CUoutput_mode;
