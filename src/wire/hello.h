/*
 * The handshake between a client and rosend: one message each way over rosend's unix socket
 * (SOCK_SEQPACKET), before any channel exists. Both structs only ever grow at the end: `size` says
 * how many bytes the sender knew, missing fields are zero for the receiver, unknown ones are
 * ignored. An older client therefore keeps working with a newer server; test/handshake/ keeps
 * recorded ones.
 */
#pragma once

#include <stdint.h>

#include "wire/limits.h"

#define HELLO_MAGIC	  0x6e65736fu /* "osen": a binary hello; the admin side starts with '{' */
#define HELLO_TEXT_MAX	  256
#define HELLO_PROGRAM_MAX 64

/* Capabilities: a bit is used only when both sides set it. */
enum hello_capability {
	HELLO_CAN_SEGMENTS =
	    1 << 0,		  /* descriptors of pinned memory may pass over the side socket */
	HELLO_CAN_STATS = 1 << 1, /* the region holds a statistics area */
};

/* Client to rosend. */
struct hello_request {
	uint32_t magic, size;
	uint32_t version_min, version_max; /* wire versions the client speaks */
	uint64_t capabilities;
	uint32_t pid;			 /* for people; trust comes from SO_PEERCRED */
	uint32_t n_functions;		 /* size of its statistics table */
	char program[HELLO_PROGRAM_MAX]; /* for `rosen ps` */
	char backend[32];		 /* auto, cuda, softgpu; empty: the server's own setting */
	char run[32];			 /* joins the sessions of one `rosen run`; empty: none */
};

enum hello_status {
	HELLO_OK = 0,
	HELLO_BAD_VERSION = 1, /* text names both ranges and what to upgrade */
	HELLO_NO_BACKEND = 2,  /* text says why */
	HELLO_REFUSED = 3,     /* limits, permissions: text says which */
	HELLO_FAILED = 4,      /* the server could not start a worker: text says why */
};

/*
 * rosend to client. With HELLO_OK two descriptors come along: the channel's region (a sealed
 * memfd), and the side socket (SOCK_SEQPACKET) whose other end the worker holds: it carries
 * descriptors of segments and the worker's last words, and its hang-up tells that the peer is gone.
 */
struct hello_reply {
	uint32_t magic, size;
	uint32_t status; /* enum hello_status */
	uint32_t version;
	uint64_t capabilities;
	uint64_t session;
	uint64_t region_size;
	char text[HELLO_TEXT_MAX]; /* why not, and what to do; empty when OK */
};

/* Messages on the side socket. */
enum side_kind {
	SIDE_SEGMENT = 1,    /* client to worker, one descriptor: struct side_segment */
	SIDE_LAST_WORDS = 2, /* worker to client, before it dies of an error: text */
};

struct side_message {
	uint32_t kind; /* enum side_kind */
	uint32_t reserved;
	uint64_t segment; /* the client's number for it */
	uint64_t address; /* where the client has it mapped */
	uint64_t size;
	char text[HELLO_TEXT_MAX];
};
