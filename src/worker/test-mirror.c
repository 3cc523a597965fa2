/*
 * Managed variables: the exchange between the two sides, alone and with both writing; and what a
 * client can have mirrored, which is what it looked up and nothing else.
 */

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test.h"
#include "worker/mirror_exchange.h"
#include "worker/test-client.h"

enum { N = 1024 }; /* words */

struct sides {
	_Atomic uint64_t program[N], device[N];
	uint64_t agreed[N];
};

static void exchange(struct sides *s, bool pull)
{
	mirror_exchange(s->program, s->device, s->agreed, N, pull);
}

static void expect(const struct sides *s, size_t i, uint64_t program, uint64_t device)
{
	CHECK_EQ(s->program[i], program);
	CHECK_EQ(s->device[i], device);
}

TEST(what_one_side_wrote_reaches_the_other)
{
	static struct sides s;

	s.program[3] = 7;
	s.device[900] = 8;
	exchange(&s, false);
	expect(&s, 3, 7, 7);
	expect(&s, 900, 0, 8); /* only the program's writes were asked for */
	exchange(&s, true);
	expect(&s, 900, 8, 8);
	s.device[3] = 9;
	exchange(&s, true);
	expect(&s, 3, 9, 9);
}

TEST(bytes_of_one_word_are_of_whoever_wrote_them)
{
	static struct sides s;

	s.program[0] = 0x00000000000000ffu;
	s.device[0] = 0xee00000000000000u;
	exchange(&s, true);
	expect(&s, 0, 0xee000000000000ffu, 0xee000000000000ffu);
	/* Both wrote: the program prevails. */
	s.program[0] = 0x11000000000000ffu;
	s.device[0] = 0x22000000000033ffu;
	exchange(&s, true);
	expect(&s, 0, 0x11000000000033ffu, 0x11000000000033ffu);
	/* A word that the program wrote brings the device's other bytes too. */
	s.program[0] ^= 1;
	s.device[0] ^= 0xff00;
	exchange(&s, false);
	expect(&s, 0, 0x110000000000ccfeu, 0x110000000000ccfeu);
}

TEST(writing_back_the_old_value_is_a_write)
{
	static struct sides s;

	s.program[5] = 1;
	exchange(&s, true);
	s.program[5] = 0;
	exchange(&s, true);
	expect(&s, 5, 0, 0);
}

/* Each side counts in its own half of every word while they are exchanged all the time. */
enum { ROUNDS = 20000 };

struct writer {
	_Atomic uint64_t *side;
	unsigned half;
};

static void *count(void *argument)
{
	struct writer *writer = argument;

	for (uint32_t round = 1; round <= ROUNDS; round++)
		for (size_t i = 0; i < 8; i++)
			__atomic_store_n(
			    (uint32_t *)&writer->side[i] + writer->half, round, __ATOMIC_RELAXED);
	return NULL;
}

TEST(nothing_is_lost_while_both_write)
{
	static struct sides s;
	struct writer writers[2] = {{s.program, 0}, {s.device, 1}};
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, count, &writers[i]);
	for (int i = 0; i < 20000; i++)
		mirror_exchange(s.program, s.device, s.agreed, 8, i & 1);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	exchange(&s, true);
	for (size_t i = 0; i < 8; i++)
		expect(&s, i, (uint64_t)ROUNDS << 32 | ROUNDS, (uint64_t)ROUNDS << 32 | ROUNDS);
}

TEST(one_word_alone_is_told)
{
	static struct sides s;

	CHECK_EQ(mirror_lone(s.program, s.agreed, N), MIRROR_NONE);
	s.program[700] = 1;
	CHECK_EQ(mirror_lone(s.program, s.agreed, N), 700);
	CHECK_EQ(mirror_lone(s.program, s.agreed, 600), MIRROR_NONE);
	s.program[3] = 1;
	CHECK_EQ(mirror_lone(s.program, s.agreed, N), MIRROR_MANY);
}

/* --- with a client --- */

#define PAGE	4096
#define LIBRARY ((CUlibrary)0x8000)

static _Alignas(PAGE) char memory[2 * PAGE]; /* where the backend has its variable: in both pages */
#define VARIABLE (memory + PAGE - 100)
#define SIZE	 200

static int concurrent = 1;

static CUresult load(CUlibrary *library, const void *code, CUjit_option *jit, void **values,
    unsigned n, CUlibraryOption *options, void **option_values, unsigned n_options)
{
	*library = LIBRARY;
	return CUDA_SUCCESS;
}

static CUresult unload(CUlibrary library)
{
	return CUDA_SUCCESS;
}

static CUresult get_managed(
    CUdeviceptr *address, size_t *bytes, CUlibrary library, const char *name)
{
	*address = (CUdeviceptr)VARIABLE;
	*bytes = SIZE;
	return CUDA_SUCCESS;
}

static CUresult attribute(int *value, CUdevice_attribute wanted, CUdevice device)
{
	*value = wanted == CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS ? concurrent : 0;
	return CUDA_SUCCESS;
}

static CUresult advise(CUdeviceptr address, size_t count, CUmem_advise advice, CUdevice device)
{
	return CUDA_SUCCESS;
}

struct mirror_client {
	struct test_client client;
	CUlibrary library;
	char *pages; /* the program's, for both of memory's */
};

static struct mirror_client start_client(void)
{
	static const char image[] = ".version 8.0\n.target sm_80\n";
	struct mirror_client t = {0};

	if (TEST_THREAD_SANITIZER)
		SKIP("the order goes through two mappings");
	t.client = client_start_over(OVER_MEMFD, NULL);
	struct backend *backend = (struct backend *)client_worker()->backend;

	backend->cuLibraryLoadData = load;
	backend->cuLibraryUnload = unload;
	backend->cuLibraryGetManaged = get_managed;
	backend->cuDeviceGetAttribute = attribute;
	backend->cuMemAdvise = advise;
	t.library = (CUlibrary)handle_id(false, HANDLE_LIBRARY, 1, 0);
	struct args_cuLibraryLoadData a = {
	    .library = &t.library, .image = image, .image_bytes = sizeof(image)};
	CHECK_EQ(CALL(&t.client, cuLibraryLoadData, &a), CUDA_SUCCESS);
	return t;
}

static CUresult look_up(struct mirror_client *t)
{
	CUdeviceptr address;
	size_t bytes;
	struct args_cuLibraryGetManaged a = {
	    .address = &address, .bytes = &bytes, .library = t->library, .name = "v"};
	CUresult r = (CUresult)CALL(&t->client, cuLibraryGetManaged, &a);

	CHECK_EQ(address, (CUdeviceptr)VARIABLE);
	return r;
}

static CUresult give_pages(
    struct mirror_client *t, uint64_t number, const void *address, size_t bytes, size_t really)
{
	struct side_message message = {.kind = SIDE_SEGMENT, .segment = number};
	int fd;

	CHECK_EQ(fd_memory("mirror", really, &fd), 0);
	t->pages = mmap(NULL, really, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK_EQ(chan_side_send(t->client.pair.client, &message, fd), 0);
	close(fd);
	struct args_rosenMirrorPages a = {number, (CUdeviceptr)address, bytes};
	return (CUresult)CALL(&t->client, rosenMirrorPages, &a);
}

static CUresult begin_mirror(struct mirror_client *t, const void *address, size_t bytes)
{
	struct args_rosenMirrorBegin a = {(CUdeviceptr)address, bytes};

	return (CUresult)CALL(&t->client, rosenMirrorBegin, &a);
}

/* A call after which both sides agree. */
static void settle(struct mirror_client *t)
{
	CUdeviceptr address;
	struct args_cuMemAlloc_v2 a = {.address = &address, .bytes = 16};

	CHECK_EQ(CALL(&t->client, cuMemAlloc_v2, &a), CUDA_SUCCESS);
}

TEST(a_variable_is_the_same_on_both_sides)
{
	struct mirror_client t = start_client();
	char *here;

	memset(memory, 7, sizeof(memory));
	CHECK_EQ(look_up(&t), CUDA_SUCCESS);
	CHECK_EQ(give_pages(&t, 1, memory, sizeof(memory), sizeof(memory)), CUDA_SUCCESS);
	CHECK_EQ(begin_mirror(&t, VARIABLE, SIZE), CUDA_SUCCESS);
	here = t.pages + PAGE - 100;
	CHECK_BYTES(here, VARIABLE, SIZE);
	here[0] = 1;
	here[SIZE - 1] = 2;
	VARIABLE[50] = 3;
	settle(&t);
	CHECK_EQ(VARIABLE[0], 1);
	CHECK_EQ(VARIABLE[SIZE - 1], 2);
	CHECK_EQ(here[50], 3);
	/* Nothing but the variable, in whole words. */
	CHECK_EQ(t.pages[0], 0);
	t.pages[0] = 9;
	settle(&t);
	CHECK_EQ(memory[0], 7);
	/* And not beyond its module. */
	struct args_cuLibraryUnload end = {.library = t.library};
	CHECK_EQ(CALL(&t.client, cuLibraryUnload, &end), CUDA_SUCCESS);
	here[0] = 5;
	settle(&t);
	CHECK_EQ(VARIABLE[0], 1);
	client_stop(&t.client, NULL);
}

/* Without a call of the client's. */
static void wait_until(const volatile char *at, char value)
{
	for (int i = 0; i < 10000 && *at != value; i++)
		usleep(1000);
	CHECK_EQ(*at, value);
}

TEST(a_flag_crosses_while_nobody_calls)
{
	struct mirror_client t = start_client();
	char *here;

	CHECK_EQ(look_up(&t), CUDA_SUCCESS);
	CHECK_EQ(give_pages(&t, 1, memory, sizeof(memory), sizeof(memory)), CUDA_SUCCESS);
	CHECK_EQ(begin_mirror(&t, VARIABLE, SIZE), CUDA_SUCCESS);
	here = t.pages + PAGE - 100;
	here[20] = 1;
	wait_until(&VARIABLE[20], 1);
	VARIABLE[20] = 2;
	wait_until(&here[20], 2);
	client_stop(&t.client, NULL);
}

TEST(only_what_was_looked_up_is_mirrored)
{
	struct mirror_client t = start_client();

	CHECK_EQ(give_pages(&t, 1, memory, sizeof(memory), sizeof(memory)), CUDA_SUCCESS);
	CHECK_EQ(begin_mirror(&t, VARIABLE, SIZE), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(look_up(&t), CUDA_SUCCESS);
	CHECK_EQ(begin_mirror(&t, memory, 8), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(begin_mirror(&t, VARIABLE, sizeof(memory)), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(begin_mirror(&t, VARIABLE, SIZE_MAX), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(begin_mirror(&t, VARIABLE, SIZE), CUDA_SUCCESS);
	CHECK_EQ(begin_mirror(&t, VARIABLE, SIZE), CUDA_SUCCESS); /* as it is */
	client_stop(&t.client, NULL);
}

TEST(pages_must_be_there)
{
	struct mirror_client t = start_client();

	CHECK_EQ(look_up(&t), CUDA_SUCCESS);
	CHECK_EQ(begin_mirror(&t, VARIABLE, SIZE), CUDA_ERROR_INVALID_VALUE);
	/* Less than was said; no whole pages; half of what it takes. */
	CHECK_EQ(give_pages(&t, 1, memory, 2 * PAGE, PAGE), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(give_pages(&t, 2, memory + 8, PAGE, PAGE), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(give_pages(&t, 3, memory, 100, PAGE), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(give_pages(&t, 4, memory, PAGE, PAGE), CUDA_SUCCESS);
	CHECK_EQ(begin_mirror(&t, VARIABLE, SIZE), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(give_pages(&t, 5, memory + PAGE, PAGE, PAGE), CUDA_SUCCESS);
	CHECK_EQ(begin_mirror(&t, VARIABLE, SIZE), CUDA_SUCCESS);
	client_stop(&t.client, NULL);
}

TEST(a_device_that_cannot_share_is_left_alone)
{
	struct mirror_client t = start_client();

	concurrent = 0;
	CHECK_EQ(look_up(&t), CUDA_SUCCESS);
	CHECK_EQ(give_pages(&t, 1, memory, sizeof(memory), sizeof(memory)), CUDA_SUCCESS);
	CHECK_EQ(begin_mirror(&t, VARIABLE, SIZE), CUDA_ERROR_NOT_SUPPORTED);
	client_stop(&t.client, NULL);
}
