/*
 * See share.h. The question itself is the option `ask`: in the process it is control_ask(), which
 * knows the control socket; tests answer themselves.
 */
#include "worker/share.h"

#include <errno.h>

#include "base/fd.h"
#include "base/log.h"

static CUresult result_of(const struct control_share *answer)
{
	switch (answer->status) {
	case 0:
		return CUDA_SUCCESS;
	case ENOENT:
		return CUDA_ERROR_INVALID_HANDLE;
	case ENOSPC:
	case ENOMEM:
		return CUDA_ERROR_OUT_OF_MEMORY;
	default:
		log_warn(
		    "rosend does not share what this session offers: error %u", answer->status);
		return CUDA_ERROR_OPERATING_SYSTEM;
	}
}

CUresult share_offer(struct worker *worker, struct control_share *what, int fd, int *ticket)
{
	*ticket = -1;
	if (!worker->options.ask)
		return CUDA_ERROR_NOT_SUPPORTED;
	what->kind = CONTROL_OFFER;
	if (worker->options.ask(what, fd, ticket) < 0)
		return CUDA_ERROR_OPERATING_SYSTEM;
	CUresult r = result_of(what);
	if (r == CUDA_SUCCESS && share_has_ticket(what->type) && *ticket < 0)
		r = CUDA_ERROR_OPERATING_SYSTEM; /* too many open files here */
	return r;
}

CUresult share_take(
    struct worker *worker, const void *name, unsigned types, struct control_share *what, int *fd)
{
	*what = (struct control_share){.kind = CONTROL_TAKE};
	*fd = -1;
	if (!share_name_parse(name, &what->token))
		return CUDA_ERROR_INVALID_VALUE;
	if (!worker->options.ask)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (worker->options.ask(what, -1, fd) < 0)
		return CUDA_ERROR_OPERATING_SYSTEM;
	CUresult r = result_of(what);
	if (r == CUDA_SUCCESS && (what->type > 31 || !(types & SHARE_BIT(what->type))))
		r = CUDA_ERROR_INVALID_HANDLE;
	if (r == CUDA_SUCCESS && !share_is_data(what->type) && *fd < 0)
		r = CUDA_ERROR_OPERATING_SYSTEM;
	if (r != CUDA_SUCCESS)
		*fd = fd_close(*fd);
	return r;
}

void share_withdraw(struct worker *worker, const struct share_token *token)
{
	struct control_share what = {.kind = CONTROL_WITHDRAW, .token = *token};
	int none;

	if (worker->options.ask)
		worker->options.ask(&what, -1, &none);
}
