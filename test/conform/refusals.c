/*
 * What every function of the driver answers to a program that errs: before cuInit, without a
 * current context, in a context that another thread has ended, and where one argument is missing or
 * out of range while the others are good. Which of several mistakes is told first is part of that.
 *
 * The functions and their parameters come from the interface definition (gen/calls.h); values are
 * made from the parameters' types. The answers are printed, a line for each function; those in a
 * context are held against what NVIDIA's driver answered (like-native). None may end the program:
 * NVIDIA's driver does for some, of a NULL, and is slow to make so many contexts, so this is no
 * part of what test/gpu/run runs on it.
 *
 * Functions are called in processes of their own, each for a part of the table, which put the
 * answers into memory they share with the test; one that dies is followed by another, which goes on
 * behind that function.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform.h"

enum { PARAMETERS = 16, PARTS = 8, SECONDS = 8, ROOM = 4096 };
enum { NOT_TRIED = -1, DIED = -2 };

static const struct call {
	const char *name, *parameters;
} calls[] = {
#define CALL(name, parameters) {#name, parameters},
#include "gen/calls.h"
#undef CALL
};
enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

/* One for each call: with nothing given, then with each parameter in turn missing or wrong. */
struct answers {
	int codes[1 + PARAMETERS];
};

/* Shared with the processes that call: where each part is. */
static struct state {
	struct answers answers[CALLS];
	int at[PARTS];
} *state;

struct parameter {
	char type[64], name[32];
	int stars;
};

/* Beyond the table's: these end or stop the program that calls them, ask for the whole machine, or
 * wait for what nobody does. */
static bool harmful(const char *name)
{
	static const char *const names[] = {"cuCheckpointProcess", "cuCoredumpSet", "cuMulticast",
	    "cuStreamWaitValue", "cuGLInit", "cuVDPAU", "cuGLCtx"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(name, names[i], strlen(names[i])))
			return true;
	return false;
}

static bool is_one_of(const char *text, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(text, list[i]))
			return true;
	return false;
}

static bool passed_in_memory(const struct parameter *p)
{
	return !p->stars && (!strncmp(p->type, "CUipc", 5) || !strcmp(p->type, "float"));
}

/* Splits "const T *name, U other"; those that take no integer register are left out. */
static int read_parameters(const char *text, struct parameter *out)
{
	int n = 0;

	while (*text && strcmp(text, "void")) {
		struct parameter p = {.stars = 0};
		size_t size = strcspn(text, ","), name = size;
		if (!strncmp(text, "const ", 6))
			text += 6, size -= 6, name -= 6;
		while (name && text[name - 1] != ' ' && text[name - 1] != '*')
			name--;
		snprintf(p.name, sizeof(p.name), "%.*s", (int)(size - name), text + name);
		while (name && (text[name - 1] == '*' || text[name - 1] == ' '))
			p.stars += text[--name] == '*';
		snprintf(p.type, sizeof(p.type), "%.*s", (int)name, text);
		if (!passed_in_memory(&p))
			out[n++] = p;
		text += size;
		text += strspn(text, ", ");
	}
	return n;
}

/* The context that calls are made in, and what they share there. */
static CUcontext context;
static CUgraph graph;
static CUmodule module;

static CUgraph a_graph(void)
{
	if (!graph)
		OK(cuGraphCreate(&graph, 0));
	return graph;
}

static CUmodule a_module(void)
{
	static const char image[] = ".version 6.0\n.target sm_50\n.address_size 64\n"
				    ".visible .entry nothing() { ret; }\n";

	if (!module)
		OK(cuModuleLoadData(&module, image));
	return module;
}

static CUarray an_array(void)
{
	CUDA_ARRAY3D_DESCRIPTOR wanted = {
	    16, 16, 0, CU_AD_FORMAT_FLOAT, 1, CUDA_ARRAY3D_SURFACE_LDST};
	CUarray array;

	OK(cuArray3DCreate(&array, &wanted));
	return array;
}

static uint64_t a_texture(bool surface)
{
	CUDA_RESOURCE_DESC from = {
	    .resType = CU_RESOURCE_TYPE_ARRAY, .res.array.hArray = an_array()};
	CUDA_TEXTURE_DESC how = {.maxAnisotropy = 0};
	uint64_t object;

	if (surface)
		OK(cuSurfObjectCreate((CUsurfObject *)&object, &from));
	else
		OK(cuTexObjectCreate((CUtexObject *)&object, &from, &how, NULL));
	return object;
}

static uint64_t memory_handle(void)
{
	CUmemAllocationProp wanted = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
	    .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0}};
	CUmemGenericAllocationHandle handle;

	OK(cuMemCreate(&handle, 2 << 20, &wanted, 0));
	return handle;
}

static void do_nothing(void *data)
{
	(void)data;
}

/* An object of the type, made in the current context; 0 where there is no way to one here. */
static uint64_t good_object(const char *type)
{
	union {
		uint64_t value;
		CUstream stream;
		CUevent event;
		CUfunction function;
		CUlibrary library;
		CUkernel kernel;
		CUgraph graph;
		CUgraphNode node;
		CUgraphExec exec;
		CUmipmappedArray mipmap;
		CUmemoryPool pool;
		CUtexref texref;
		CUlinkState link;
		CUuserObject object;
		CUdeviceptr address;
	} made = {0};
	CUDA_ARRAY3D_DESCRIPTOR levels = {16, 16, 0, CU_AD_FORMAT_FLOAT, 1, 0};

	if (!strcmp(type, "CUcontext"))
		return (uint64_t)context;
	if (!strcmp(type, "CUstream"))
		OK(cuStreamCreate(&made.stream, CU_STREAM_NON_BLOCKING));
	else if (!strcmp(type, "CUevent"))
		OK(cuEventCreate(&made.event, 0));
	else if (!strcmp(type, "CUdeviceptr"))
		OK(cuMemAlloc(&made.address, 65536));
	else if (!strcmp(type, "CUmodule"))
		return (uint64_t)a_module();
	else if (!strcmp(type, "CUfunction"))
		OK(cuModuleGetFunction(&made.function, a_module(), "nothing"));
	else if (!strcmp(type, "CUgraph"))
		return (uint64_t)a_graph();
	else if (!strcmp(type, "CUgraphNode"))
		OK(cuGraphAddEmptyNode(&made.node, a_graph(), NULL, 0));
	else if (!strcmp(type, "CUgraphExec"))
		OK(cuGraphInstantiateWithFlags(&made.exec, a_graph(), 0));
	else if (!strcmp(type, "CUarray"))
		return (uint64_t)an_array();
	else if (!strcmp(type, "CUmipmappedArray"))
		OK(cuMipmappedArrayCreate(&made.mipmap, &levels, 2));
	else if (!strcmp(type, "CUmemoryPool"))
		OK(cuDeviceGetDefaultMemPool(&made.pool, 0));
	else if (!strcmp(type, "CUtexref"))
		OK(cuTexRefCreate(&made.texref));
	else if (!strcmp(type, "CUlinkState"))
		OK(cuLinkCreate(0, NULL, NULL, &made.link));
	else if (!strcmp(type, "CUuserObject"))
		OK(cuUserObjectCreate(
		    &made.object, &made, do_nothing, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
	else if (!strcmp(type, "CUtexObject") || !strcmp(type, "CUsurfObject"))
		return a_texture(type[2] == 's');
	else if (!strcmp(type, "CUmemGenericAllocationHandle"))
		return memory_handle();
	return made.value;
}

static bool is_object(const char *type)
{
	static const char *const types[] = {"CUcontext", "CUstream", "CUevent", "CUdeviceptr",
	    "CUmodule", "CUfunction", "CUgraph", "CUgraphNode", "CUgraphExec", "CUarray",
	    "CUmipmappedArray", "CUmemoryPool", "CUtexref", "CUlinkState", "CUuserObject",
	    "CUtexObject", "CUsurfObject", "CUmemGenericAllocationHandle", "CUlibrary", "CUkernel",
	    "CUgreenCtx", "CUexternalMemory", "CUexternalSemaphore", "CUdevResourceDesc",
	    "CUsurfref", "CUgraphicsResource", "CUdeviceptr_v1", "CUasyncCallbackHandle",
	    "CUlogsCallbackHandle"};

	return is_one_of(type, types, ARRAY_SIZE(types));
}

static bool is_function(const char *type)
{
	static const char *const types[] = {"CUhostFn", "CUstreamCallback", "CUoccupancyB2DSize",
	    "CUasyncCallback", "CUlogsCallback"};

	return is_one_of(type, types, ARRAY_SIZE(types));
}

static bool is_number(const char *type)
{
	static const char *const types[] = {"int", "unsigned", "size_t", "uint32_t", "uint64_t",
	    "unsigned char", "unsigned short", "unsigned long long", "CUmemLocation", "CUresult"};

	return is_one_of(type, types, ARRAY_SIZE(types));
}

static _Alignas(4096) uint8_t rooms[PARAMETERS][ROOM];

static uint64_t good(const struct parameter *p, int i)
{
	if (p->stars == 1 && !strcmp(p->type, "char"))
		strcpy((char *)rooms[i], "/nowhere/nothing");
	if (p->stars)
		return (uint64_t)rooms[i];
	if (is_function(p->type))
		return (uint64_t)do_nothing;
	if (is_object(p->type))
		return context ? good_object(p->type) : 0;
	if (!strcmp(p->type, "CUdevice") || !strncmp(p->name, "flags", 5))
		return 0;
	return 1;
}

/* NULL, or a number that no function knows. */
static uint64_t wrong(const struct parameter *p)
{
	if (p->stars || is_object(p->type) || is_function(p->type))
		return 0;
	if (!strncmp(p->name, "flags", 5) || !strcmp(p->type, "CUdevice"))
		return 100000;
	return is_number(p->type) ? 0 : 100000;
}

static int make_call(const char *name, const uint64_t *a)
{
	typedef CUresult any(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
	    uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
	    uint64_t);
	any *f = (any *)dlsym(RTLD_DEFAULT, name);

	CHECK(f);
	return (int)f(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11],
	    a[12], a[13], a[14], a[15]);
}

/* With nothing, then with all but one. */
static void call_with_mistakes(const struct call *call, struct answers *answers)
{
	struct parameter parameters[PARAMETERS];
	uint64_t values[PARAMETERS] = {0};
	int n = read_parameters(call->parameters, parameters);

	for (int wrong_one = -1; wrong_one < n; wrong_one++) {
		memset(rooms, 0, sizeof(rooms));
		for (int i = 0; i < n; i++)
			values[i] = wrong_one < 0    ? 0
				    : wrong_one == i ? wrong(&parameters[i])
						     : good(&parameters[i], i);
		answers->codes[1 + wrong_one] = DIED;
		alarm(SECONDS);
		answers->codes[1 + wrong_one] = make_call(call->name, values);
		cuCtxSynchronize(); /* what it did, and failed to do, is its own */
		if (strstr(call->name, "Graph") || strstr(call->name, "Module"))
			graph = NULL, module = NULL; /* may be gone */
	}
	alarm(0);
}

/* Where the calls are made. */
static void nowhere(const struct call *call, struct answers *answers)
{
	call_with_mistakes(call, answers);
}

static void without_context(const struct call *call, struct answers *answers)
{
	OK(cuInit(0));
	OK(cuCtxSetCurrent(NULL));
	call_with_mistakes(call, answers);
}

/* Whether the next function finds the context as this one did. */
static bool is_as_before(const char *name, CUcontext wanted)
{
	CUcontext current;

	return !strstr(name, "Ctx") && cuCtxGetCurrent(&current) == CUDA_SUCCESS &&
	       current == wanted;
}

static void in_context(const struct call *call, struct answers *answers)
{
	if (!context) {
		OK(cuInit(0));
		OK(cuCtxCreate(&context, NULL, 0, 0));
	}
	call_with_mistakes(call, answers);
	if (is_as_before(call->name, context) && cuCtxSynchronize() == CUDA_SUCCESS)
		return;
	cuCtxDestroy(context);
	OK(cuCtxSetCurrent(NULL));
	context = NULL;
	graph = NULL;
	module = NULL;
}

static void *destroy(void *which)
{
	OK(cuCtxDestroy(which));
	return NULL;
}

static void in_ended_context(const struct call *call, struct answers *answers)
{
	static CUcontext ended;
	CUcontext made;
	pthread_t thread;

	if (!ended) {
		OK(cuInit(0));
		/* What an earlier call could not do in the context that had ended may be told
		 * here. */
		if (cuCtxCreate(&made, NULL, 0, 0) != CUDA_SUCCESS)
			OK(cuCtxCreate(&made, NULL, 0, 0));
		CHECK_EQ(pthread_create(&thread, NULL, destroy, made), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		cuCtxGetCurrent(&ended); /* it may be told, or not */
	}
	call_with_mistakes(call, answers);
	if (is_as_before(call->name, ended))
		return;
	OK(cuCtxSetCurrent(NULL));
	ended = NULL;
}

static void run_part(int part, void (*where)(const struct call *, struct answers *))
{
	for (; state->at[part] < CALLS; state->at[part] += PARTS) {
		int i = state->at[part];
		if (!harmful(calls[i].name))
			where(&calls[i], &state->answers[i]);
	}
	_exit(EXIT_SUCCESS);
}

static void run_all(void (*where)(const struct call *, struct answers *))
{
	pid_t children[PARTS];
	int running = 0;

	for (int part = 0; part < PARTS; part++)
		state->at[part] = part;
	for (int part = 0; part < PARTS; part++, running++)
		if (!(children[part] = fork()))
			run_part(part, where);
	while (running) {
		int status, part = 0;
		pid_t child = wait(&status);
		CHECK(child > 0);
		while (children[part] != child)
			part++;
		state->at[part] += PARTS; /* behind what it died of */
		if (state->at[part] >= CALLS)
			running--;
		else if (!(children[part] = fork()))
			run_part(part, where);
	}
}

static void say_code(const char *of, int code)
{
	if (code == DIED)
		printf(" %s dies", of);
	else
		printf(" %s %d", of, code);
}

/* Prints them; how many functions have ended the process that called them. */
static int say(void)
{
	int ended = 0;

	for (int i = 0; i < CALLS; i++) {
		struct parameter parameters[PARAMETERS];
		int n = read_parameters(calls[i].parameters, parameters);
		const int *codes = state->answers[i].codes;
		if (codes[0] == NOT_TRIED)
			continue;
		printf("# %s:", calls[i].name);
		say_code("nothing", codes[0]);
		for (int k = 0; k <= n; k++)
			ended += codes[k] == DIED;
		for (int k = 0; k < n && codes[1 + k] != NOT_TRIED; k++)
			say_code(parameters[k].name, codes[1 + k]);
		printf("\n");
	}
	return ended;
}

static void try_all(void (*where)(const struct call *, struct answers *))
{
	state =
	    mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(state != MAP_FAILED);
	for (int i = 0; i < CALLS; i++)
		for (int k = 0; k < 1 + PARAMETERS; k++)
			state->answers[i].codes[k] = NOT_TRIED;
	run_all(where);
	CHECK_EQ(say(), 0);
}

CONFORM(before_the_beginning)
{
	try_all(nowhere);
}

CONFORM(with_no_context)
{
	try_all(without_context);
}

CONFORM(in_a_context)
{
	try_all(in_context);
}

CONFORM(in_a_context_that_has_ended)
{
	try_all(in_ended_context);
}
