/*
 * Names of what one session shares with another. A program holds such a name in place of what CUDA
 * would give it: in the 64 bytes of a CUipcMemHandle or CUipcEventHandle, or queued in the socket
 * that stands for an exported descriptor (a ticket, control/share.h). It is nothing but a random
 * number that rosend gave out, so nobody can make one up, and it is worth nothing to another user.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SHARE_TOKEN_SIZE 32
#define SHARE_MAGIC	 0x657261687365736full /* "oseshare" */

struct share_token {
	uint8_t bytes[SHARE_TOKEN_SIZE];
};

struct share_name {
	uint64_t magic;
	struct share_token token;
	uint8_t zero[24];
};
_Static_assert(sizeof(struct share_name) == 64, "as long as CUDA's handles");

static inline struct share_name share_name(const struct share_token *token)
{
	return (struct share_name){.magic = SHARE_MAGIC, .token = *token};
}

/* Whether 64 bytes of a program can be a name; then *token is it. */
static inline bool share_name_parse(const void *bytes, struct share_token *token)
{
	static const struct share_name none;
	struct share_name name;

	memcpy(&name, bytes, sizeof(name));
	*token = name.token;
	return name.magic == SHARE_MAGIC && !memcmp(name.zero, none.zero, sizeof(none.zero));
}
