/* See progress.h. The line is written over itself, ten times a second, in one write each. */
#include "shim/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "shim/session.h"

#define PATIENCE_NS NSEC_PER_SEC
#define BEAT_NS	    (NSEC_PER_SEC / 10)
#define ERASE	    "\r\033[K"

struct progress progress_begin(const char *what, size_t total)
{
	return (struct progress){.what = what,
	    .total = total,
	    .started_ns = clock_now_ns(),
	    .wanted = session.config.progress && isatty(STDERR_FILENO)};
}

bool progress_line(struct progress *progress, size_t done, uint64_t now_ns, char *text, size_t size)
{
	if (now_ns - progress->started_ns < PATIENCE_NS ||
	    (progress->written && now_ns - progress->written_ns < BEAT_NS))
		return false;
	progress->written = true;
	progress->written_ns = now_ns;
	snprintf(text, size, ERASE "rosen: %s, %zu of %zu MiB", progress->what, done >> 20,
	    progress->total >> 20);
	return true;
}

static void put(const char *text)
{
	/* A terminal that takes no more is no reason to stop. */
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

void progress_step(struct progress *progress, size_t done)
{
	char text[128];

	if (progress->wanted && progress_line(progress, done, clock_now_ns(), text, sizeof(text)))
		put(text);
}

void progress_end(struct progress *progress)
{
	if (progress->written)
		put(ERASE);
}
