/* What tools ask of a process and this library answers by itself. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "gen/shim_custom.h"

CUresult shim_cuProfilerInitialize(
    const char *config_file, const char *output_file, CUoutput_mode output_mode)
{
	(void)config_file;
	(void)output_file;
	(void)output_mode;
	return CUDA_ERROR_NOT_SUPPORTED;
}

/* A process is never locked nor checkpointed. Of others nothing is known. */
CUresult shim_cuCheckpointProcessGetState(int pid, CUprocessState *state)
{
	if (pid == getpid()) {
		*state = CU_PROCESS_STATE_RUNNING;
		return CUDA_SUCCESS;
	}
	if (pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH))
		return CUDA_ERROR_OPERATING_SYSTEM;
	log_warn_once("cuCheckpointProcessGetState is not supported for other processes");
	return CUDA_ERROR_NOT_SUPPORTED;
}
