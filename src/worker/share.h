/*
 * Asking rosend for what sessions share (control/share.h): giving something away, and getting it by
 * the name a program has. It waits for rosend's answer, so these are for functions marked `blocks`.
 * Without a rosend (tests) everything is CUDA_ERROR_NOT_SUPPORTED.
 */
#pragma once

#include "wire/control.h"
#include "worker/worker.h"

/*
 * Offers *what (type, and what belongs to it) with a descriptor (-1: none), which stays the
 * caller's. On success what->token names it. *ticket: the program's descriptor for it, the
 * caller's, -1 where the type has none.
 */
CUresult share_offer(struct worker *worker, struct control_share *what, int fd, int *ticket);

/*
 * Gets what a name in a program's hands stands for, which must be of one of types (one bit each,
 * SHARE_BIT). *fd: its descriptor or -1, the caller's. CUDA_ERROR_INVALID_VALUE: no name;
 * CUDA_ERROR_INVALID_HANDLE: of nothing there is, or of another type.
 */
#define SHARE_BIT(type) (1u << (type))
CUresult share_take(
    struct worker *worker, const void *name, unsigned types, struct control_share *what, int *fd);

/* Ends an offer of this session; does not wait. */
void share_withdraw(struct worker *worker, const struct share_token *token);
