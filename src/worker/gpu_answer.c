/*
 * The GPU answers under two conditions. First, no other stream may have unfinished work. Otherwise
 * writing the word could wait for other streams, if the stream is a default one; and until it is
 * written, the driver would find work in a stream that the client knows to be done (for which
 * reason worker_cuStreamQuery() uses what the dispatcher knows, not the driver's word). Second, the
 * answer must have nothing to say but that the wait is over: no text of kernels, no times, no
 * mirrors to exchange, and no pool that waits for the driver to synchronise.
 *
 * A kernel that fails ends its context, and then the word is never written. So the driver is asked
 * as well, though seldom, and gives the error; the dispatcher or a waiter answers then.
 */
#include "worker/gpu_answer.h"

#include "base/log.h"
#include "worker/idle.h"
#include "worker/mirror.h"
#include "worker/output.h"
#include "worker/prints.h"
#include "worker/staging.h"
#include "worker/worker.h"

static bool says_more(struct worker *worker)
{
	return worker->options.measure || worker->gpu_time || mirrors_exist(worker) ||
	       prints_pending(worker) || pools_pending(worker) ||
	       (worker->options.output && output_pending());
}

void gpu_answer_begin(struct worker *worker, struct job *job)
{
	const struct wire_record *record = (const void *)job->record;
	struct call *call = &job->call;
	CUstream stream = (CUstream)call->await.real;

	if (!worker->options.gpu_answers || worker->no_gpu_answers ||
	    call->await.kind != HANDLE_STREAM || call->await.done ||
	    !(record->flags & WIRE_F_REPLY) || says_more(worker) ||
	    !idle_is_only(call, stream, &job->gpu_mark))
		return;
	CUdeviceptr word =
	    staging_reply_address(call, chan_reply_prepare(worker->chan, job->from.lane->index));
	if (!word)
		return;
	CUresult r = worker->backend->cuStreamWriteValue32_v2(
	    stream, word, record->seq, CU_STREAM_WRITE_VALUE_DEFAULT);
	job->gpu_answers = r == CUDA_SUCCESS;
	worker->no_gpu_answers = r != CUDA_SUCCESS;
	if (r == CUDA_SUCCESS)
		log_debug("a wait is answered by the GPU");
	else
		log_info("the GPU writes no answers (error %d)", (int)r);
}

bool gpu_answer_came(const struct job *job)
{
	const struct wire_record *record = (const void *)job->record;

	return chan_reply_came(job->call.worker->chan, job->from.lane->index, record->seq);
}
