/*
 * Running the steps of a program, several at once where its edges allow it.
 *
 * The calling thread takes part, so that a program goes on without any helper; helpers are threads
 * of the process, started when steps wait that nobody runs, up to a number. A step starts when all
 * it needs is done. After the first failure none starts any more.
 */
#pragma once

#include "softgpu/driver/graph_exec.h"

typedef CUresult sg_step_function(
    const struct sg_step *step, struct sg_work **markers, struct sg_context *context);

/* Returns when all steps are done, or after a failure all that had begun; run is called on any
 * thread, may block, and may call this for a program inside. */
CUresult sg_branches_run(const struct sg_program *program, sg_step_function *run,
    struct sg_work **markers, struct sg_context *context);
