/*
 * Turning private pages of the program into shared ones and back, under the program's feet: same
 * addresses, same bytes. Knows nothing of CUDA.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TAKEOVER_PAGE 4096u

/* What lies at a range of addresses, all of it. */
struct takeover_look {
	bool mapped;   /* and readable */
	bool writable; /* and so is this */
	bool private; /* ordinary private memory, not a file's, not the stack this thread runs on */
	/* Whole pages of one file that is mapped shared: they need not be taken over. */
	bool file;
	uint64_t offset;	/* of the first page in it */
	uint64_t line[2];	/* the mapping they lie in */
	uint64_t device, inode; /* the file's */
	char path[256];		/* where it was opened; may be cut, may be gone */
};
struct takeover_look takeover_look(uint64_t address, uint64_t size);

/* A descriptor of that file for reading and writing, to be closed by the caller. -1: there is no
 * way to it, or it is no file in memory. */
int takeover_open_file(const struct takeover_look *look);

struct takeover {
	uint64_t address, size; /* whole pages */
	int fd;			/* the memfd that they are now */
	dev_t device;		/* of fd, to notice that the program closed it */
	ino_t inode;
	uint8_t edges[2][TAKEOVER_PAGE]; /* see takeover_before_fork() */
};

/*
 * The pages of [address, address + size), private and writable, become the memfd fd, at offset 0;
 * fd is the takeover's from here on (also on failure). Other threads may use the memory meanwhile,
 * but what they write at the moment its page is replaced may be lost. NULL: nothing has changed.
 */
struct takeover *takeover_new(uint64_t address, uint64_t size, int fd);

/* The pages are private again, and as good as anonymous: dropped pages read as zero. Nothing
 * written meanwhile is lost. Always NULL. */
struct takeover *takeover_free(struct takeover *takeover);

/*
 * A child must not share memory with its parent that was private to the program. Before the fork
 * the first and last pages, which the program uses for other things too, are remembered; in the
 * child all pages become private, those two as they were.
 */
void takeover_before_fork(struct takeover *takeover);
void takeover_in_child(struct takeover *takeover);
