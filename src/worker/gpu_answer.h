/*
 * Answers that the GPU gives itself. A wait for a stream ends natively when the driver has asked a
 * device about it, which alone takes more than a microsecond; here a message would follow. Instead
 * the number of the reply for which the client's thread watches memory is put into the stream
 * behind what it waits for. The dispatcher watches the same word, and keeps the books when it came.
 *
 * Dispatcher only, unless said otherwise.
 */
#pragma once

#include <stdbool.h>

struct job;
struct worker;

/* job, which awaits a stream and is the only one that awaits anything, will be answered by the GPU
 * if that can be. */
void gpu_answer_begin(struct worker *worker, struct job *job);

/* Whether it was. Any thread. */
bool gpu_answer_came(const struct job *job);
