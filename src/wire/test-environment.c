/* CUDA's variables: the table, what values are taken, and what of a hostile peer's is left. */
#include "wire/environment.h"

#include "base/test.h"

static const char hostile[][ENVIRONMENT_VALUE_MAX + 1] = {"-1", " 1", "1 ", "1\n", "0x1", "1e3",
    "/tmp", "..", "1;id", "LAZY", "%s", "\033[2J", "\xff", "1111111111111111"};

static void forget_all(void)
{
	for (size_t i = 0; i < environment_n_rows; i++)
		unsetenv(environment_rows[i].name);
}

TEST(every_variable_is_there_once_and_has_its_own_slot)
{
	uint64_t slots = 0;

	CHECK(environment_n_rows > 20);
	for (size_t i = 0; i < environment_n_rows; i++) {
		const struct environment_row *row = &environment_rows[i];
		CHECK(!strncmp(row->name, "CUDA_", 5));
		for (size_t k = 0; k < i; k++)
			CHECK(strcmp(row->name, environment_rows[k].name) != 0);
		bool sent = row->deed == ENVIRONMENT_DRIVER || row->deed == ENVIRONMENT_WORKER;
		CHECK_EQ(row->slot >= 0, sent);
		if (!sent)
			continue;
		CHECK(row->slot < ENVIRONMENT_SLOTS && !(slots & 1ull << row->slot));
		slots |= 1ull << row->slot;
	}
}

/* doc/WIRE.md has these numbers, and older clients and servers go by them. */
TEST(slots_are_the_documented_ones)
{
	CHECK_EQ(ENVIRONMENT_CUDA_LAUNCH_BLOCKING, 0);
	CHECK_EQ(ENVIRONMENT_CUDA_DEVICE_MAX_CONNECTIONS, 1);
	CHECK_EQ(ENVIRONMENT_CUDA_DEVICE_MAX_COPY_CONNECTIONS, 2);
	CHECK_EQ(ENVIRONMENT_CUDA_SCALE_LAUNCH_QUEUES, 3);
	CHECK_EQ(ENVIRONMENT_CUDA_GRAPHS_USE_NODE_PRIORITY, 4);
	CHECK_EQ(ENVIRONMENT_CUDA_DEVICE_DEFAULT_PERSISTING_L2_CACHE_PERCENTAGE_LIMIT, 5);
	CHECK_EQ(ENVIRONMENT_CUDA_AUTO_BOOST, 6);
	CHECK_EQ(ENVIRONMENT_CUDA_DISABLE_PERF_BOOST, 7);
	CHECK_EQ(ENVIRONMENT_CUDA_FORCE_PTX_JIT, 8);
	CHECK_EQ(ENVIRONMENT_CUDA_DISABLE_PTX_JIT, 9);
	CHECK_EQ(ENVIRONMENT_CUDA_FORCE_JIT, 10);
	CHECK_EQ(ENVIRONMENT_CUDA_DISABLE_JIT, 11);
	CHECK_EQ(ENVIRONMENT_CUDA_CACHE_DISABLE, 12);
	CHECK_EQ(ENVIRONMENT_CUDA_MODULE_LOADING, 13);
	CHECK_EQ(ENVIRONMENT_CUDA_MODULE_DATA_LOADING, 14);
	CHECK_EQ(ENVIRONMENT_CUDA_BINARY_LOADER_THREAD_COUNT, 15);
	CHECK_EQ(ENVIRONMENT_CUDA_FORCE_PRELOAD_LIBRARIES, 16);
	CHECK_EQ(sizeof(struct environment), 512);
}

TEST(values_are_read_by_their_form)
{
	struct environment read;
	uint64_t malformed;

	forget_all();
	setenv("CUDA_DEVICE_MAX_CONNECTIONS", "1", 1);
	setenv("CUDA_SCALE_LAUNCH_QUEUES", "0.25x", 1);
	setenv("CUDA_MODULE_LOADING", "EAGER", 1);
	setenv("CUDA_CACHE_DISABLE", "", 1);
	setenv("CUDA_CACHE_PATH", "/tmp/x", 1);
	environment_read(&read, &malformed);
	CHECK_EQ(malformed, 0);
	CHECK_EQ(environment_slots(&read), 1 << 1 | 1 << 3 | 1 << 13);
	CHECK_STR(read.value[1], "1");
	CHECK_STR(read.value[3], "0.25x");
	CHECK_STR(read.value[13], "EAGER");
}

TEST(what_has_not_its_form_is_not_read)
{
	struct environment read;
	uint64_t malformed;

	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		forget_all();
		setenv("CUDA_LAUNCH_BLOCKING", hostile[i], 1);
		environment_read(&read, &malformed);
		CHECK_EQ(malformed, 1);
		CHECK_EQ(environment_slots(&read), 0);
	}
	forget_all();
	for (const char *const *v =
		 (const char *const[]){"x", "2", ".5x", "2xx", "2x ", "0x2", NULL};
	    *v; v++) {
		setenv("CUDA_SCALE_LAUNCH_QUEUES", *v, 1);
		environment_read(&read, &malformed);
		CHECK_EQ(malformed, 1 << 3);
	}
}

TEST(a_peers_values_are_looked_at_again)
{
	struct environment e;

	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		memset(&e, 0, sizeof(e));
		memcpy(e.value[0], hostile[i], ENVIRONMENT_VALUE_MAX);
		CHECK(!environment_clean(&e));
		CHECK_EQ(environment_slots(&e), 0);
	}
	memset(&e, '7', sizeof(e)); /* no end anywhere, and slots of no variable */
	CHECK(!environment_clean(&e));
	CHECK_EQ(environment_slots(&e), 0);
	memset(&e, 0, sizeof(e));
	strcpy(e.value[31], "1"); /* of a later release */
	strcpy(e.value[1], "8");
	memcpy(e.value[1] + 2, "/etc", 4); /* behind the end */
	CHECK(!environment_clean(&e));
	CHECK_EQ(environment_slots(&e), 1 << 1);
	CHECK_BYTES(e.value[1], "8\0\0\0\0\0\0\0\0\0\0\0\0\0\0", ENVIRONMENT_VALUE_MAX);
	CHECK(environment_clean(&e));
}

TEST(standard_values_mean_the_same_as_none)
{
	struct environment none = {0}, a = {0};

	strcpy(a.value[ENVIRONMENT_CUDA_MODULE_LOADING], "lazy");
	strcpy(a.value[ENVIRONMENT_CUDA_FORCE_PTX_JIT], "0");
	strcpy(a.value[ENVIRONMENT_CUDA_LAUNCH_BLOCKING], "1");
	CHECK_EQ(environment_difference(&a, &none), 1);
	CHECK_EQ(environment_driver_difference(&a, &none), 0);
	strcpy(a.value[ENVIRONMENT_CUDA_MODULE_LOADING], "EAGER");
	CHECK_EQ(environment_driver_difference(&a, &none), 1 << 13);
	CHECK_EQ(environment_driver_difference(&none, &a), 1 << 13);
	CHECK_EQ(environment_driver_difference(&a, &a), 0);
}

TEST(switches_are_numbers)
{
	struct environment e = {0};

	CHECK(!environment_is_on(&e, ENVIRONMENT_CUDA_LAUNCH_BLOCKING));
	strcpy(e.value[0], "00");
	CHECK(!environment_is_on(&e, ENVIRONMENT_CUDA_LAUNCH_BLOCKING));
	strcpy(e.value[0], "2");
	CHECK(environment_is_on(&e, ENVIRONMENT_CUDA_LAUNCH_BLOCKING));
}

/* What the worker does must not be done by its driver too. */
TEST(only_what_is_the_drivers_gets_into_the_environment)
{
	struct environment e = {0};

	forget_all();
	strcpy(e.value[ENVIRONMENT_CUDA_LAUNCH_BLOCKING], "1");
	strcpy(e.value[ENVIRONMENT_CUDA_DEVICE_MAX_CONNECTIONS], "1");
	CHECK_EQ(environment_apply(&e), 0);
	CHECK_STR(getenv("CUDA_DEVICE_MAX_CONNECTIONS"), "1");
	CHECK(!getenv("CUDA_LAUNCH_BLOCKING"));
}

static void set_one_of_each(void)
{
	setenv("CUDA_DEVICE_MAX_CONNECTIONS", "1", 1);
	setenv("CUDA_LAUNCH_BLOCKING", "1", 1);
	setenv("CUDA_VISIBLE_DEVICES", "1", 1);
	setenv("CUDA_CACHE_PATH", "/tmp/x", 1);
	setenv("CUDA_ENABLE_COREDUMP_ON_EXCEPTION", "1", 1);
}

TEST(a_worker_inherits_nothing_that_comes_with_a_session)
{
	set_one_of_each();
	environment_leave(false);
	CHECK(!getenv("CUDA_DEVICE_MAX_CONNECTIONS") && !getenv("CUDA_LAUNCH_BLOCKING"));
	CHECK(getenv("CUDA_VISIBLE_DEVICES") && getenv("CUDA_CACHE_PATH"));
	CHECK(getenv("CUDA_ENABLE_COREDUMP_ON_EXCEPTION"));
	set_one_of_each();
	environment_leave(true);
	CHECK(!getenv("CUDA_DEVICE_MAX_CONNECTIONS") && !getenv("CUDA_LAUNCH_BLOCKING"));
	CHECK(!getenv("CUDA_VISIBLE_DEVICES") && getenv("CUDA_CACHE_PATH"));
	CHECK(!getenv("CUDA_ENABLE_COREDUMP_ON_EXCEPTION"));
}
