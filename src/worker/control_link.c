/*
 * One thread of the worker looks at the control socket, with a second's beat for the status rosend
 * shows, and hands answers to the thread that asked, one at a time. When rosend hangs up, the
 * process ends at once: its end frees everything it holds, and waiting for the GPU's consent is the
 * kernel's business.
 *
 * A crash (a fault inside a driver, an assertion) is told by a signal handler that only formats and
 * sends; the default action then makes the exit status true. The handler is installed before the
 * backend is loaded, so a backend with handlers of its own passes on to it what it does not know.
 */
#include "worker/control_link.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "gen/api_desc.h"
#include "worker/output.h"
#include "worker/worker.h"

#define STATUS_BEAT_MS 1000

int control_receive(union control_order *order, int fds[2])
{
	size_t n_fds = 2;

	fds[0] = fds[1] = -1;
	memset(order, 0, sizeof(*order));
	ssize_t size = fd_receive(CONTROL_FD, order, sizeof(*order), fds, &n_fds, 0);
	if (size < 0)
		return error_trace((int)size);
	bool warm = order->kind == CONTROL_WARM;
	const char *library = warm ? order->warm.library : order->start.library;
	struct environment *environment =
	    warm ? &order->warm.environment : &order->start.environment;
	if ((!warm && order->kind != CONTROL_START) ||
	    (size_t)size != (warm ? sizeof(order->warm) : sizeof(order->start)) ||
	    !memchr(library, 0, CONTROL_PATH_MAX) || !environment_clean(environment))
		return error_origin(-EPROTO);
	return 0;
}

void control_send(const void *message, size_t size)
{
	fd_send(CONTROL_FD, message, size, NULL, 0);
}

void control_fail(const char *format, ...)
{
	struct control_text message = {.kind = CONTROL_FAILED};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message.text, sizeof(message.text), format, arguments);
	va_end(arguments);
	log_info("%s", message.text);
	control_send(&message, sizeof(message));
}

/* --- last words --- */

static _Atomic int client_socket = -1; /* read by signal handlers */

static void send_last_words(int client, const char *text)
{
	struct control_text to_rosend = {.kind = CONTROL_LAST_WORDS};
	struct side_message to_client = {.kind = SIDE_LAST_WORDS};

	strncpy(to_rosend.text, text, sizeof(to_rosend.text) - 1);
	strncpy(to_client.text, text, sizeof(to_client.text) - 1);
	if (client >= 0)
		send(client, &to_client, sizeof(to_client), MSG_NOSIGNAL | MSG_DONTWAIT);
	send(CONTROL_FD, &to_rosend, sizeof(to_rosend), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void control_last_words(struct chan *chan, const char *text)
{
	log_error("%s", text);
	send_last_words(chan ? chan_side_socket(chan) : -1, text);
}

static const char *signal_name(int number)
{
	switch (number) {
	case SIGSEGV:
		return "SIGSEGV";
	case SIGBUS:
		return "SIGBUS";
	case SIGFPE:
		return "SIGFPE";
	case SIGILL:
		return "SIGILL";
	default:
		return "SIGABRT";
	}
}

/* Async-signal-safe: builds the text by hand, sends, and lets the default action follow. */
static void crashed(int number)
{
	char text[HELLO_TEXT_MAX] = "The GPU worker crashed (";
	const struct api_desc *served = api_desc_by_id(worker_serving); /* a search in a table */
	const char *parts[] = {signal_name(number), ") while serving ",
	    served ? served->name : "no call", "; the server's log says more"};
	size_t at = strlen(text);

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		for (const char *c = parts[i]; *c && at < sizeof(text) - 2; c++)
			text[at++] = *c;
	text[at] = 0;
	send_last_words(client_socket, text);
	text[at] = '\n';
	if (write(STDERR_FILENO, text, at + 1) < 0)
		signal(number, SIG_DFL); /* as below; a log that is gone changes nothing */
	output_rescue();		 /* stderr's last lines, the one above included */
	signal(number, SIG_DFL);
	raise(number);
}

void control_set_client(struct chan *chan)
{
	client_socket = chan_side_socket(chan);
}

void control_watch_crashes(void)
{
	static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
	struct sigaction action = {.sa_handler = crashed, .sa_flags = SA_ONSTACK | SA_RESETHAND};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaction(numbers[i], &action, NULL);
}

/* --- questions --- */

static struct {
	pthread_mutex_t asking; /* held by who asks, until the answer is there */
	pthread_mutex_t lock;	/* the rest */
	pthread_cond_t came;
	bool waiting;
	struct control_share answer;
	int fd;
} question = {.asking = PTHREAD_MUTEX_INITIALIZER,
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .came = PTHREAD_COND_INITIALIZER,
    .fd = -1};

/* The watching thread ends the process when no answer can come, so this wait always ends. */
static void await_answer(struct control_share *message, int *got)
{
	pthread_mutex_lock(&question.lock);
	while (question.waiting)
		pthread_cond_wait(&question.came, &question.lock);
	*message = question.answer;
	*got = question.fd;
	question.fd = -1;
	pthread_mutex_unlock(&question.lock);
}

int control_ask(struct control_share *message, int fd, int *got)
{
	bool answered = message->kind != CONTROL_WITHDRAW && message->kind != CONTROL_IMAGE_KEEP;

	*got = -1;
	pthread_mutex_lock(&question.asking);
	pthread_mutex_lock(&question.lock);
	question.waiting = answered;
	pthread_mutex_unlock(&question.lock);
	int r = fd_send(CONTROL_FD, message, sizeof(*message), &fd, fd >= 0);
	if (r == 0 && answered)
		await_answer(message, got);
	pthread_mutex_unlock(&question.asking);
	return error_trace(r);
}

/* Ends the process, without exit handlers: a driver's could wait for a GPU that never answers. */
static _Noreturn void end_session(ssize_t size)
{
	if (size == -ENODATA || size == -ECONNRESET)
		_exit(EXIT_SUCCESS); /* rosend is gone */
	char text[HELLO_TEXT_MAX];
	snprintf(text, sizeof(text),
	    "The GPU worker ended the session: it cannot read what rosend sends (%s)",
	    size < 0 ? strerror((int)-size) : "is it of another build?");
	log_error("%s", text);
	send_last_words(client_socket, text);
	_exit(EXIT_FAILURE);
}

static void take_answer(void)
{
	struct control_share answer;
	size_t n_fds = 1;
	int fd = -1;

	ssize_t size = fd_receive(CONTROL_FD, &answer, sizeof(answer), &fd, &n_fds, MSG_DONTWAIT);
	if (size == -EAGAIN)
		return;
	if (size != sizeof(answer) || answer.kind != CONTROL_SHARED)
		end_session(size);
	pthread_mutex_lock(&question.lock);
	if (question.waiting) {
		question.answer = answer;
		question.fd = n_fds ? fd : -1;
		question.waiting = false;
		pthread_cond_signal(&question.came);
	} else if (n_fds) {
		fd_close(fd);
	}
	pthread_mutex_unlock(&question.lock);
}

/* --- the watching thread --- */

static void report(struct worker *worker, struct control_status *last)
{
	struct control_status now = {
	    .kind = CONTROL_STATUS,
	    .device_memory = worker_device_memory(worker),
	    .objects = handles_count(worker->handles),
	};

	if (now.device_memory == last->device_memory && now.objects == last->objects)
		return;
	*last = now;
	control_send(&now, sizeof(now));
}

static void *watch(void *argument)
{
	struct worker *worker = argument;
	struct control_status last = {0};
	struct pollfd control = {.fd = CONTROL_FD, .events = POLLIN};

	for (;;) {
		int r = poll(&control, 1, STATUS_BEAT_MS);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			end_session(-errno);
		if (r > 0)
			take_answer();
		report(worker, &last);
	}
}

int control_watch(struct worker *worker)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, watch, worker);

	if (r)
		return error_origin(-r);
	pthread_detach(thread);
	return 0;
}
