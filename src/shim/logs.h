/*
 * The driver's log of errors (cuLogs*), which is the program's own: a call that fails is noted
 * here, in the process it failed in. Any thread.
 */
#pragma once

#include "abi/cuda.h"
#include "gen/api_ids.h"

/* function is about to return result, an error. Keeps a line, writes it where CUDA_LOG_FILE says
 * and calls the program's callbacks. */
void logs_note(enum api_fn function, CUresult result);

/* Child of a fork(): the messages stay, the callbacks too. */
void logs_after_fork(void);
