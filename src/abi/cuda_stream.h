/*
 * Streams and events: flags, memory operations in stream order, capture.
 */
#pragma once

/* Streams that exist without being created, and that no handle table holds. */
#define CU_STREAM_LEGACY     ((CUstream)1)
#define CU_STREAM_PER_THREAD ((CUstream)2)

typedef enum {
	CU_STREAM_DEFAULT,
	CU_STREAM_NON_BLOCKING,
} CUstream_flags;

typedef enum {
	CU_EVENT_DEFAULT = 0,
	CU_EVENT_BLOCKING_SYNC = 1,
	CU_EVENT_DISABLE_TIMING = 2,
	CU_EVENT_INTERPROCESS = 4,
} CUevent_flags;

typedef enum {
	CU_EVENT_RECORD_DEFAULT,
	CU_EVENT_RECORD_EXTERNAL,
} CUevent_record_flags;

typedef enum {
	CU_EVENT_WAIT_DEFAULT,
	CU_EVENT_WAIT_EXTERNAL,
} CUevent_wait_flags;

typedef enum {
	CU_EVENT_SCHED_AUTO = 0,
	CU_EVENT_SCHED_SPIN = 1,
	CU_EVENT_SCHED_YIELD = 2,
	CU_EVENT_SCHED_BLOCKING_SYNC = 4,
} CUevent_sched_flags;

/* cuStreamWaitValue, cuStreamWriteValue, cuStreamBatchMemOp. */
typedef enum {
	CU_STREAM_WAIT_VALUE_GEQ,
	CU_STREAM_WAIT_VALUE_EQ,
	CU_STREAM_WAIT_VALUE_AND,
	CU_STREAM_WAIT_VALUE_NOR,
	CU_STREAM_WAIT_VALUE_FLUSH = 0x40000000,
} CUstreamWaitValue_flags;

typedef enum {
	CU_STREAM_WRITE_VALUE_DEFAULT,
	CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER,
} CUstreamWriteValue_flags;

typedef enum {
	CU_STREAM_MEM_OP_WAIT_VALUE_32 = 1,
	CU_STREAM_MEM_OP_WRITE_VALUE_32,
	CU_STREAM_MEM_OP_WAIT_VALUE_64 = 4,
	CU_STREAM_MEM_OP_WRITE_VALUE_64,
	CU_STREAM_MEM_OP_BARRIER,
	CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES = 3,
} CUstreamBatchMemOpType;

typedef enum {
	CU_STREAM_MEMORY_BARRIER_TYPE_SYS,
	CU_STREAM_MEMORY_BARRIER_TYPE_GPU,
} CUstreamMemoryBarrier_flags;

typedef union {
	CUstreamBatchMemOpType operation;
	struct {
		CUstreamBatchMemOpType operation;
		CUdeviceptr address;
		union {
			uint32_t value;
			uint64_t value64;
		};
		unsigned flags;
		CUdeviceptr alias;
	} waitValue;
	struct {
		CUstreamBatchMemOpType operation;
		CUdeviceptr address;
		union {
			uint32_t value;
			uint64_t value64;
		};
		unsigned flags;
		CUdeviceptr alias;
	} writeValue;
	struct {
		CUstreamBatchMemOpType operation;
		unsigned flags;
	} flushRemoteWrites;
	struct {
		CUstreamBatchMemOpType operation;
		unsigned flags;
	} memoryBarrier;
	uint64_t pad[6];
} CUstreamBatchMemOpParams;

typedef void (*CUhostFn)(void *user);
typedef void (*CUstreamCallback)(CUstream stream, CUresult status, void *user);

typedef enum {
	CU_STREAM_CAPTURE_STATUS_NONE,
	CU_STREAM_CAPTURE_STATUS_ACTIVE,
	CU_STREAM_CAPTURE_STATUS_INVALIDATED,
} CUstreamCaptureStatus;

typedef enum {
	CU_STREAM_CAPTURE_MODE_GLOBAL,
	CU_STREAM_CAPTURE_MODE_THREAD_LOCAL,
	CU_STREAM_CAPTURE_MODE_RELAXED,
} CUstreamCaptureMode;

typedef enum {
	CU_STREAM_ADD_CAPTURE_DEPENDENCIES,
	CU_STREAM_SET_CAPTURE_DEPENDENCIES,
} CUstreamUpdateCaptureDependencies_flags;
