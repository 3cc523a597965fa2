/*
 * What rosend and its workers say to each other over the control socket (SOCK_SEQPACKET, private to
 * one installation: both ends are always of the same build, so there is no version here).
 *
 * rosend starts rosen-worker with the control socket as descriptor 3 and sends CONTROL_START (with
 * the region and the side socket for a session, none for a probe). The worker answers CONTROL_READY
 * or CONTROL_FAILED, later perhaps CONTROL_LAST_WORDS. A worker ends when the control socket or the
 * client's side socket hangs up; rosend learns a worker's end from its process descriptor.
 *
 * CONTROL_WARM may come once before CONTROL_START: the worker opens the backend ahead of its
 * session and answers CONTROL_WARMED or CONTROL_FAILED. CONTROL_START may follow at any time,
 * without waiting for that answer.
 *
 * Program images that sessions of one user need not send again go the same way (control/images.h).
 *
 * What sessions share goes through rosend's table (control/share.h): a worker offers and takes, one
 * request at a time, each answered by CONTROL_SHARED; withdrawing is not answered.
 */
#pragma once

#include <stdint.h>

#include "wire/hello.h"
#include "wire/share.h"

#define CONTROL_PATH_MAX 256

enum control_kind {
	CONTROL_START = 1,
	CONTROL_READY = 2,
	CONTROL_FAILED = 3,	/* text: what failed and what to do */
	CONTROL_DEVICE = 4,	/* answer to a probe, one per device, after CONTROL_READY */
	CONTROL_STATUS = 5,	/* worker to rosend, when it changed: struct control_status */
	CONTROL_LAST_WORDS = 6, /* text: why the worker dies */
	CONTROL_WARM = 7,
	CONTROL_WARMED = 8, /* struct control_ready */
	CONTROL_OFFER = 9,  /* worker to rosend: struct control_share, perhaps a descriptor */
	CONTROL_TAKE = 10,  /* worker to rosend: struct control_share, of which the token counts */
	CONTROL_WITHDRAW = 11, /* likewise; there is no answer */
	CONTROL_SHARED = 12,   /* rosend to worker: the answer, perhaps with a descriptor */
	CONTROL_IMAGE_KEEP =
	    13, /* worker to rosend: struct control_share, a descriptor; no answer */
	CONTROL_IMAGE_FETCH =
	    14, /* worker to rosend: struct control_share; CONTROL_SHARED answers */
};

enum control_backend { CONTROL_BACKEND_CUDA = 1, CONTROL_BACKEND_SOFTGPU = 2 };

struct control_start {
	uint32_t kind; /* CONTROL_START */
	uint32_t backend;
	uint32_t probe;	      /* 1: report the devices and exit */
	uint32_t arena;	      /* the setting of that name */
	uint32_t quiet_waits; /* the setting of that name */
	uint32_t known_idle;  /* the setting of that name */
	uint32_t measure;     /* 1: time in the backend, into statistics and answers */
	uint32_t measure_gpu; /* 1: and time on the GPU, into the statistics */
	uint32_t lanes, functions;
	uint32_t gpu_answers; /* the setting of that name */
	uint32_t reserved;
	uint64_t session;
	uint64_t ring_size, staging_size; /* the geometry rosend made the region with */
	uint64_t region_size;
	uint64_t spin_ns;
	uint64_t bulk_limit;
	uint64_t image_cache; /* the setting of that name */
	uint64_t issuers;     /* the setting of that name */
	uint64_t capabilities, client_pid;
	char library[CONTROL_PATH_MAX]; /* of the backend; empty: as the dynamic linker finds it */
	struct environment environment; /* the program's */
};

/* Opens the backend and makes the primary context of a device. */
struct control_warm {
	uint32_t kind;	  /* CONTROL_WARM */
	uint32_t backend; /* as in the CONTROL_START to come */
	int32_t device;	  /* negative: of none */
	uint32_t reserved;
	char library[CONTROL_PATH_MAX]; /* the same */
	struct environment environment; /* means the same to the driver */
};

struct control_ready {
	uint32_t kind; /* CONTROL_READY, CONTROL_WARMED */
	int32_t driver_version;
	uint32_t devices;
	uint32_t reserved;
};

struct control_device {
	uint32_t kind; /* CONTROL_DEVICE */
	uint32_t ordinal;
	char name[128];
	uint8_t uuid[16];
	char pci[32];
	uint64_t memory_total;
	int32_t capability_major, capability_minor, processors, clock_khz;
};

struct control_status {
	uint32_t kind; /* CONTROL_STATUS */
	uint32_t reserved;
	uint64_t device_memory; /* bytes the session holds */
	uint64_t objects;	/* live handles */
};

enum share_type {
	SHARE_MEMORY = 1,     /* cuIpcGetMemHandle; descriptor: the physical memory it lies in */
	SHARE_RANGE = 2,      /* the same; descriptor: of just the allocation, as a dma-buf */
	SHARE_EVENT = 3,      /* cuIpcGetEventHandle; data: the backend's handle */
	SHARE_ALLOCATION = 4, /* cuMemExportToShareableHandle; descriptor: the backend's */
	SHARE_POOL = 5,	      /* cuMemPoolExportToShareableHandle; descriptor: the backend's */
	SHARE_HANDLE = 6,     /* cuIpcGetMemHandle; data: the backend's handle */
};

/* Those that have no descriptor, but data. */
static inline bool share_is_data(uint32_t type)
{
	return type == SHARE_EVENT || type == SHARE_HANDLE;
}

/* Those a program holds as a descriptor get a ticket (control/share.h). */
static inline bool share_has_ticket(uint32_t type)
{
	return type == SHARE_ALLOCATION || type == SHARE_POOL;
}

/* Of images only size and data count: the content's size and its digest. */
struct control_share {
	uint32_t kind;
	uint32_t status; /* of an answer: 0, or an errno */
	struct share_token token;
	uint32_t type;	      /* enum share_type */
	int32_t device;	      /* where the memory is: all workers of a rosend number alike */
	uint64_t session;     /* whose it is; rosend fills it in */
	uint64_t size;	      /* of the allocation */
	uint64_t offset;      /* where in the descriptor's memory it lies */
	uint64_t mapped_size; /* of the descriptor's memory */
	uint8_t data[64];
};

struct control_text {
	uint32_t kind; /* CONTROL_FAILED, CONTROL_LAST_WORDS */
	uint32_t reserved;
	char text[HELLO_TEXT_MAX];
};
