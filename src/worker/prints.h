/*
 * Which waits must bring what kernels printed. The driver writes the text of printf when it is
 * asked to synchronise, not when it is asked whether work is done; a synchronise of finished work
 * costs a microsecond and a half, and few kernels can print. So images are looked at when they are
 * loaded, what comes out of a silent one is remembered as silent, and a launch of anything else
 * makes waits synchronise until its stream's has.
 *
 * Any thread, but prints_launched(), which is the dispatcher's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"

struct abi_image;
struct call;
struct prints;
struct worker;

struct prints *prints_new(void);
struct prints *prints_free(struct prints *prints);

/* What was loaded from image (NULL: of parts nobody looked at) is code: a module or a library. */
void prints_loaded(struct call *call, const struct abi_image *image, const void *code);

/* `to` is code out of `from`: a kernel of a library, its function, a function of a module. */
void prints_derived(struct call *call, const void *from, const void *to);

/* Handles may mean other objects from now on. */
void prints_forget(struct worker *worker);

/* A launch of function into stream was issued. NULL: of a graph, which can be anything. */
void prints_launched(struct call *call, const void *function, CUstream stream);

/* Whether a wait that ends now must synchronise. */
bool prints_pending(struct worker *worker);

/*
 * Around a synchronise of stream that succeeded: what was launched into it before prints_mark() is
 * written.
 */
uint64_t prints_mark(struct worker *worker);
void prints_written(struct call *call, CUstream stream, uint64_t mark);
