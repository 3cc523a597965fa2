/* The program's CUDA variables: what is told to rosend, and what is said of those that do not
 * hold. */
#include "shim/variables.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/test.h"
#include "wire/hello.h"

static int said_fd = -1;

/* With nothing set and a log that can be read. */
static void begin(void)
{
	for (size_t i = 0; i < environment_n_rows; i++)
		unsetenv(environment_rows[i].name);
	said_fd = memfd_create("log", MFD_CLOEXEC);
	CHECK(said_fd >= 0);
	log_init("test");
	log_set_descriptor(said_fd);
}

/* What was logged since, until the next call. */
static const char *said(void)
{
	static char text[4096];
	ssize_t n = pread(said_fd, text, sizeof(text) - 1, 0);

	CHECK(n >= 0);
	text[n] = '\0';
	CHECK(ftruncate(said_fd, 0) == 0 && lseek(said_fd, 0, SEEK_SET) == 0);
	return text;
}

static void end(void)
{
	log_set_descriptor(STDERR_FILENO);
	close(said_fd);
}

/* As a rosend of this build would. */
static struct hello_reply answer_to(const struct environment *environment)
{
	return (struct hello_reply){.environment = environment_slots(environment)};
}

static bool open_session(void)
{
	struct environment environment;

	variables_tell(&environment);
	struct hello_reply reply = answer_to(&environment);
	return variables_told(&reply);
}

TEST(nothing_set_is_nothing_said)
{
	begin();
	CHECK(!open_session());
	variables_look_again();
	CHECK(!variables_force_compiling());
	CHECK_STR(said(), "");
	end();
}

TEST(blocking_launches_are_asked_for_where_they_can_be_had)
{
	struct environment environment;
	struct hello_reply older = {0};

	begin();
	setenv("CUDA_LAUNCH_BLOCKING", "1", 1);
	CHECK(open_session());
	CHECK_STR(said(), "");
	variables_tell(&environment);
	CHECK_STR(environment.value[ENVIRONMENT_CUDA_LAUNCH_BLOCKING], "1");
	CHECK(!variables_told(&older));
	setenv("CUDA_LAUNCH_BLOCKING", "0", 1);
	CHECK(!open_session());
	end();
}

TEST(an_older_rosends_silence_is_said)
{
	struct environment environment;
	struct hello_reply older = {0};

	begin();
	setenv("CUDA_DEVICE_MAX_CONNECTIONS", "1", 1);
	setenv("CUDA_MODULE_LOADING", "LAZY", 1); /* which is so without asking */
	variables_tell(&environment);
	variables_told(&older);
	const char *text = said();
	CHECK(strstr(text, "CUDA_DEVICE_MAX_CONNECTIONS is not honoured"));
	CHECK(!strstr(text, "CUDA_MODULE_LOADING"));
	end();
}

TEST(what_is_refused_is_said_once)
{
	begin();
	setenv("CUDA_ENABLE_COREDUMP_ON_EXCEPTION", "1", 1);
	setenv("CUDA_COREDUMP_FILE", "/tmp/x", 1);
	setenv("CUDA_MANAGED_FORCE_DEVICE_ALLOC", "0", 1);
	setenv("CUDA_SCALE_LAUNCH_QUEUES", "big", 1);
	open_session();
	const char *text = said();
	CHECK(strstr(text, "CUDA_ENABLE_COREDUMP_ON_EXCEPTION is not honoured"));
	CHECK(strstr(text, "CUDA_SCALE_LAUNCH_QUEUES is not honoured: \"big\""));
	CHECK(!strstr(text, "CUDA_COREDUMP_FILE") && !strstr(text, "CUDA_MANAGED"));
	open_session();
	CHECK_STR(said(), "");
	end();
}

TEST(the_machines_variables_are_the_servers)
{
	struct environment environment;
	struct hello_reply reply = {.is_private = 1};

	begin();
	setenv("CUDA_CACHE_PATH", "/tmp/x", 1);
	log_set_level(LOG_INFO);
	variables_tell(&environment);
	for (int slot = 0; slot < ENVIRONMENT_SLOTS; slot++)
		CHECK_STR(environment.value[slot], "");
	variables_told(&reply);
	CHECK_STR(said(), "");
	end();
}

TEST(a_change_that_comes_too_late_is_said)
{
	begin();
	setenv("CUDA_FORCE_PTX_JIT", "1", 1);
	open_session();
	CHECK(variables_force_compiling());
	setenv("CUDA_DEVICE_MAX_CONNECTIONS", "1", 1);
	setenv("CUDA_LAUNCH_BLOCKING", "0", 1); /* as before */
	CHECK_STR(said(), "");
	variables_look_again();
	const char *text = said();
	CHECK(strstr(text, "CUDA_DEVICE_MAX_CONNECTIONS was changed"));
	CHECK(!strstr(text, "CUDA_LAUNCH_BLOCKING") && !strstr(text, "CUDA_FORCE"));
	end();
}
