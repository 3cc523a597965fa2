/*
 * The program's CUDA variables (wire/environment.h): what the client does about them. All but the
 * last run under the session's lock.
 */
#pragma once

#include <stdbool.h>

#include "wire/environment.h"

struct hello_reply;

/* What the hello says of them: as the process has them now. */
void variables_tell(struct environment *environment);

/* rosend has answered: says once in the log which it does not honour, and why. Whether launches
 * shall end before they return. */
bool variables_told(const struct hello_reply *reply);

/* At cuInit, which is when a driver in the process would read them: says which have changed since
 * the hello, for they are not honoured. */
void variables_look_again(void);

/* Whether PTX is compiled even where there is machine code. Any thread. */
bool variables_force_compiling(void);
