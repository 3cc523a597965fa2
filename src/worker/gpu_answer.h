/*
 * Answers that the GPU gives itself. To end a wait for a stream, a driver asks the device, which
 * takes more than a microsecond; here the answer's way to the client comes on top. Instead the GPU
 * itself writes the reply's number, for which the client's thread watches memory: the write is put
 * into the stream behind the work that is waited for. The dispatcher watches the same word, and
 * finishes the call when it was written.
 *
 * Dispatcher only, unless said otherwise.
 */
#pragma once

#include <stdbool.h>

struct job;
struct worker;

/* If possible, has the GPU answer job, which awaits a stream and is the only job that awaits
 * anything. */
void gpu_answer_begin(struct worker *worker, struct job *job);

/* Whether the GPU has answered. Any thread. */
bool gpu_answer_came(const struct job *job);
