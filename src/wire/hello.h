/*
 * The handshake between a client and rosend: one message each way over rosend's unix socket
 * (SOCK_SEQPACKET), before any channel exists. Both structs only ever grow at the end: `size` says
 * how many bytes the sender knew, missing fields are zero for the receiver, unknown ones are
 * ignored. An older client therefore keeps working with a newer server; test/handshake/ keeps
 * recorded ones.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "wire/environment.h"
#include "wire/limits.h"

#define HELLO_MAGIC	  0x6e65736fu /* "osen": a binary hello; the admin side starts with '{' */
#define HELLO_TEXT_MAX	  256
#define HELLO_PROGRAM_MAX 64
#define HELLO_MESSAGE_MAX 4096 /* no version's message is longer: receive into so many bytes */

/* Capabilities: a bit is used only when both sides set it. */
enum hello_capability {
	HELLO_CAN_SEGMENTS =
	    1 << 0,		   /* descriptors of pinned memory may pass over the side socket */
	HELLO_CAN_STATS = 1 << 1,  /* the region holds a statistics area */
	HELLO_CAN_OUTPUT = 1 << 2, /* answers may carry WIRE_STATUS_OUTPUT */
	HELLO_CAN_FILES = 1 << 3,  /* SIDE_FILE: segments that are files of the program's */
	HELLO_CAN_TIMES = 1 << 4,  /* twice the rows of statistics, and times with answers */
};
#define HELLO_CAPABILITIES /* this build's */                                                      \
	((uint64_t)(HELLO_CAN_SEGMENTS | HELLO_CAN_STATS | HELLO_CAN_OUTPUT | HELLO_CAN_FILES |    \
		    HELLO_CAN_TIMES))

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
	struct environment environment;	 /* the program's CUDA variables */
};

enum hello_status {
	HELLO_OK = 0,
	HELLO_BAD_VERSION = 1, /* text names both ranges and what to upgrade */
	HELLO_NO_BACKEND = 2,  /* text says why */
	HELLO_REFUSED = 3,     /* limits, permissions: text says which */
	HELLO_FAILED = 4,      /* rosend could not make a channel or a worker: text says why */
};

/*
 * rosend to client. With HELLO_OK two descriptors come along: the channel's region (a sealed
 * memfd), and the side socket (SOCK_SEQPACKET) whose other end the worker holds: it carries
 * descriptors of segments and the worker's last words, and its hang-up tells that the peer is gone.
 *
 * The client may then close rosend's socket, or keep it and send nothing more: when the worker
 * dies, however it dies, rosend sends one struct side_message of kind SIDE_LAST_WORDS there, which
 * says how, and hangs up.
 */
struct hello_reply {
	uint32_t magic, size;
	uint32_t status; /* enum hello_status */
	uint32_t version;
	uint64_t capabilities;
	uint64_t session;
	uint64_t region_size;
	char text[HELLO_TEXT_MAX]; /* why not, and what to do; empty when OK */
	uint64_t environment;	   /* slots of the request's that the worker has, as bits */
	uint32_t is_private;	   /* 1: rosend was started for the program, in its environment */
	uint32_t reserved;
};

/* What every version's message contains at least: everything up to the capabilities, the session.
 */
#define HELLO_REQUEST_LEAST offsetof(struct hello_request, pid)
#define HELLO_REPLY_LEAST   offsetof(struct hello_reply, session)

/*
 * A request of this build: magic, size, versions and capabilities set, the rest zero for the caller
 * to fill in. The whole struct is what is sent.
 */
void hello_request_init(struct hello_request *request);

/*
 * A received message of length bytes, any version's, to this build's struct: texts end within their
 * fields and hold no control characters, and variables have values of their forms. -EBADMSG: not a
 * hello.
 */
int hello_request_parse(const void *bytes, size_t length, struct hello_request *out);
int hello_reply_parse(const void *bytes, size_t length, struct hello_reply *out);

/*
 * Starts the reply to request. True: status OK, version and capabilities agreed, the rest for the
 * server to fill in. False: the versions have nothing in common, and the reply says so.
 */
bool hello_negotiate(const struct hello_request *request, struct hello_reply *reply);

/* A reply that refuses; the text says what failed, on what, what to do. */
void hello_refuse(struct hello_reply *reply, enum hello_status status, const char *format, ...)
    _printf_(3, 4);

/*
 * The client's check of a parsed reply. 0: agreed; HELLO_NOT_OK: refused, reply->text says why;
 * -EBADMSG: the server agreed to what was not offered.
 */
enum { HELLO_NOT_OK = 1 };
int hello_reply_check(const struct hello_request *request, const struct hello_reply *reply);

/* Makes what a peer wrote a text of its field: it ends there, and a terminal or a log that shows it
 * obeys nothing in it. */
void hello_clean_text(char *text, size_t size);

/* Messages on the side socket. */
enum side_kind {
	SIDE_SEGMENT = 1,    /* client to worker, one descriptor: a sealed memfd */
	SIDE_LAST_WORDS = 2, /* worker to client, before it dies of an error: text */
	SIDE_FILE = 3,	     /* as SIDE_SEGMENT, but any file in memory, used from offset on */
	SIDE_DESCRIPTOR = 4, /* either way, one descriptor: `segment` is the client's number for it,
				whose highest bit is set */
};

struct side_message {
	uint32_t kind; /* enum side_kind */
	uint32_t reserved;
	uint64_t segment; /* the client's number for it */
	uint64_t address; /* where the client has it mapped; SIDE_FILE: the offset in the file */
	uint64_t size;
	char text[HELLO_TEXT_MAX];
};
