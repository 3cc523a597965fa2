/* The numbers both ends of a channel agree on. Changing one is a new WIRE_VERSION. */
#pragma once

#define WIRE_VERSION	 1 /* of records and replies; hello.h negotiates it */
#define WIRE_VERSION_MIN 1 /* the oldest client this server still serves */

#define WIRE_RECORD_MAX		 (32u * 1024) /* bytes of one record in the ring, header included */
#define WIRE_ALIGN		 8u /* records and every field in them start at multiples of this */
#define WIRE_LANES_MAX		 4096u
#define WIRE_LANE_SIZE		 4096u	      /* bytes of one reply lane, its header included */
#define WIRE_CHUNK_SIZE		 (64u * 1024) /* granule of the staging area */
#define WIRE_IMAGE_MAX		 (2ull << 30) /* bytes of one attached bulk argument */
#define WIRE_DEVICES_MAX	 64u
#define WIRE_ATTRIBUTES_MAX	 256u	/* device attributes 0..255 a snapshot can carry */
#define WIRE_PARAMETERS_MAX	 8192u	/* kernel parameters of one launch */
#define WIRE_PARAMETER_BYTES_MAX 32764u /* CUDA's own limit on the sum of their sizes */
#define WIRE_PARAMETER_ALIGN	 16u /* where several parameter buffers lie one behind the other */

/*
 * Address windows, the same in client, worker and backend, so that device pointers mean the same
 * everywhere and never collide with a pointer of the program. 0x2000_0000_0000 lies above every
 * sanitizer's shadow and below heap, libraries and stacks of an x86-64 Linux process, and the
 * NVIDIA driver honours reservations there.
 */
#define WIRE_DEVICE_WINDOW_BASE 0x200000000000ull
#define WIRE_DEVICE_WINDOW_SIZE (4ull << 40)
#define WIRE_HOST_WINDOW_BASE	0x240000000000ull /* pinned host memory: segments */
#define WIRE_HOST_WINDOW_SIZE	(1ull << 40)
