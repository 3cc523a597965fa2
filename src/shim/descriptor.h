/*
 * Descriptors on their way between this process and its worker, over the side socket beside the
 * channel. Each has a number by which the call that it belongs to names it. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "wire/share.h"

/* A number for a descriptor that a call is to bring. */
uint64_t descriptor_number(void);

/* The descriptor that came with the answer of a call with number; the caller's. */
CUresult descriptor_receive(uint64_t number, int *fd);

/* Sends fd, which stays the caller's, ahead of the call that names *number. */
CUresult descriptor_send(int fd, uint64_t *number);

/* Whether fd is a ticket (control/share.h), and then what it names. */
bool descriptor_is_ticket(int fd, struct share_name *name);

/* The worker's last words, "" if it left none. Takes what else is in the side socket away. */
void descriptor_last_words(char *words, size_t size);

void descriptor_after_fork(void);
