/*
 * Launches and their attributes. The same attributes are set on streams and on a graph's kernel
 * nodes.
 */
#pragma once

/* The words of cuLaunchKernel's `extra` list. */
#define CU_LAUNCH_PARAM_END	       ((void *)0)
#define CU_LAUNCH_PARAM_BUFFER_POINTER ((void *)1)
#define CU_LAUNCH_PARAM_BUFFER_SIZE    ((void *)2)

/* cuLaunchCooperativeKernelMultiDevice */
#define CUDA_COOPERATIVE_LAUNCH_MULTI_DEVICE_NO_PRE_LAUNCH_SYNC	 0x01
#define CUDA_COOPERATIVE_LAUNCH_MULTI_DEVICE_NO_POST_LAUNCH_SYNC 0x02

#define CU_PARAM_TR_DEFAULT		    -1
#define CU_LAUNCH_KERNEL_REQUIRED_BLOCK_DIM 1

typedef enum {
	CU_ACCESS_PROPERTY_NORMAL,
	CU_ACCESS_PROPERTY_STREAMING,
	CU_ACCESS_PROPERTY_PERSISTING,
} CUaccessProperty;

typedef struct {
	void *base_ptr;
	size_t num_bytes;
	float hitRatio;
	CUaccessProperty hitProp, missProp;
} CUaccessPolicyWindow;

typedef enum {
	CU_SYNC_POLICY_AUTO = 1,
	CU_SYNC_POLICY_SPIN,
	CU_SYNC_POLICY_YIELD,
	CU_SYNC_POLICY_BLOCKING_SYNC,
} CUsynchronizationPolicy;

typedef enum {
	CU_CLUSTER_SCHEDULING_POLICY_DEFAULT,
	CU_CLUSTER_SCHEDULING_POLICY_SPREAD,
	CU_CLUSTER_SCHEDULING_POLICY_LOAD_BALANCING,
} CUclusterSchedulingPolicy;

typedef enum {
	CU_LAUNCH_MEM_SYNC_DOMAIN_DEFAULT,
	CU_LAUNCH_MEM_SYNC_DOMAIN_REMOTE,
} CUlaunchMemSyncDomain;

typedef struct {
	unsigned char default_, remote;
} CUlaunchMemSyncDomainMap;

/* Values 7 and 12 hold an event, 13 a graph node: handles that must be translated. */
typedef enum {
	CU_LAUNCH_ATTRIBUTE_IGNORE,
	CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW,
	CU_LAUNCH_ATTRIBUTE_COOPERATIVE,
	CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY,
	CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
	CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE,
	CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
	CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT,
	CU_LAUNCH_ATTRIBUTE_PRIORITY,
	CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP,
	CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN,
	CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION,
	CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT,
	CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE,
	CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT,
	CU_LAUNCH_ATTRIBUTE_NVLINK_UTIL_CENTRIC_SCHEDULING = 16,
	CU_LAUNCH_ATTRIBUTE_MAX,
} CUlaunchAttributeID;

/* 64 bytes whatever the attribute; 72 with its id. */
typedef union {
	char pad[64];
	CUaccessPolicyWindow accessPolicyWindow;
	int cooperative;
	CUsynchronizationPolicy syncPolicy;
	struct {
		unsigned x, y, z;
	} clusterDim;
	CUclusterSchedulingPolicy clusterSchedulingPolicyPreference;
	int programmaticStreamSerializationAllowed;
	struct {
		CUevent event;
		int flags, triggerAtBlockStart;
	} programmaticEvent;
	struct {
		CUevent event;
		int flags;
	} launchCompletionEvent;
	int priority;
	CUlaunchMemSyncDomainMap memSyncDomainMap;
	CUlaunchMemSyncDomain memSyncDomain;
	struct {
		unsigned x, y, z;
	} preferredClusterDim;
	struct {
		int deviceUpdatable;
		CUgraphDeviceNode devNode;
	} deviceUpdatableKernelNode;
	unsigned sharedMemCarveout, nvlinkUtilCentricScheduling;
} CUlaunchAttributeValue;

typedef struct {
	CUlaunchAttributeID id;
	char pad[8 - (sizeof(CUlaunchAttributeID))];
	CUlaunchAttributeValue value;
} CUlaunchAttribute;

/* Arguments of cuLaunchKernelEx but the kernel and its parameters; 56 bytes. */
typedef struct {
	unsigned gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
	CUstream hStream;
	CUlaunchAttribute *attrs;
	unsigned numAttrs;
} CUlaunchConfig;

typedef CUlaunchAttributeID CUstreamAttrID;
typedef CUlaunchAttributeID CUkernelNodeAttrID;
typedef CUlaunchAttributeValue CUstreamAttrValue;
typedef CUlaunchAttributeValue CUkernelNodeAttrValue;

/* One device's part of cuLaunchCooperativeKernelMultiDevice. */
typedef struct {
	CUfunction function;
	unsigned gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
	CUstream hStream;
	void **kernelParams;
} CUDA_LAUNCH_PARAMS;
