/*
 * Finding and loading softgpu-llvm.so. Mapping a hundred megabytes of LLVM and having it look at
 * the CPU takes ten times as long as loading a kernel from disk, so who the compiler is, is kept
 * there too: under the CPU's features and the stamp (numbers of the file, its size and times) of
 * softgpu-llvm.so, with the stamp of LLVM's own library, which must still be the same. A compiler
 * that was installed anew has another stamp, and is loaded and asked.
 *
 * What is not small is compiled in a process of its own, whose time is limited; where none can be
 * started, here, without a limit.
 */
#include "softgpu/jit/compiler.h"

#include <cpuid.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/decimal.h"
#include "base/log.h"
#include "base/util.h"
#include "softgpu/jit/apart.h"
#include "softgpu/jit/cache.h"
#include "softgpu/jit/llvm.h"

#define MODULE_NAME "softgpu-llvm.so"

struct stamp {
	uint64_t device, inode, size;
	int64_t times[4];
};

struct question {
	char subject[16];
	struct stamp module;
	uint32_t cpu[24];
};

struct answer {
	struct digest identity;
	struct stamp library;
	char library_path[1024];
};

static const struct sg_llvm *llvm;
static struct digest known_identity;
static bool is_known;
static char failure[400]; /* what to say again when a second kernel asks */

/* ---- the file ---- */

static const char *hint(void)
{
	return "the software GPU compiles kernels with LLVM: install Debian's llvm-19-dev and "
	       "rebuild, or point SOFTGPU_LLVM at " MODULE_NAME;
}

/* $SOFTGPU_LLVM, or beside the library (or program) this code is in. */
static void module_path(char *path, size_t size)
{
	const char *override = getenv("SOFTGPU_LLVM"), *slash = NULL;
	Dl_info self;

	if (override && *override) {
		snprintf(path, size, "%s", override);
		return;
	}
	if (dladdr((void *)module_path, &self) && self.dli_fname)
		slash = strrchr(self.dli_fname, '/');
	snprintf(path, size, "%.*s%s", slash ? (int)(slash - self.dli_fname + 1) : 0,
	    slash ? self.dli_fname : "", MODULE_NAME);
}

static bool stamp_file(const char *path, struct stamp *stamp)
{
	struct stat found;

	if (stat(path, &found))
		return false;
	*stamp = (struct stamp){found.st_dev, found.st_ino, (uint64_t)found.st_size,
	    {found.st_mtim.tv_sec, found.st_mtim.tv_nsec, found.st_ctim.tv_sec,
		found.st_ctim.tv_nsec}};
	return true;
}

/* ---- who it is, without asking ---- */

/* Model and features, without what differs from core to core: numbers of the core and its cache. */
static void describe_cpu(uint32_t words[24])
{
	uint32_t a, b, c, d;

	__get_cpuid(0, &a, &words[0], &words[1], &words[2]);
	__get_cpuid(1, &words[3], &b, &words[4], &words[5]);
	__get_cpuid_count(7, 0, &a, &words[6], &words[7], &words[8]);
	__get_cpuid_count(7, 1, &words[9], &words[10], &words[11], &words[12]);
	__get_cpuid_count(13, 0, &words[13], &b, &c, &d); /* what the system saves of a thread */
	__get_cpuid_count(13, 1, &words[14], &b, &c, &d);
	__get_cpuid_count(0x19, 0, &a, &words[15], &c, &d);
	__get_cpuid_count(0x24, 0, &words[16], &words[17], &c, &d);
	__get_cpuid(0x80000001, &a, &b, &words[18], &words[19]);
	__get_cpuid(0x80000008, &a, &words[20], &c, &d);
}

/* What is known of the compiler at path is kept under; false: there is no such file. */
static bool find_key(const char *path, struct digest *key)
{
	struct question question = {.subject = "compiler"};

	if (!stamp_file(path, &question.module))
		return false;
	describe_cpu(question.cpu);
	*key = digest_of(&question, sizeof(question));
	return true;
}

static bool ask_cache(const char *path)
{
	struct answer *answer;
	struct stamp library;
	struct digest key;
	bool holds;
	size_t size;

	if (!find_key(path, &key))
		return false;
	answer = cache_load(&key, &size);
	holds = answer && size == sizeof(*answer) && stamp_file(answer->library_path, &library) &&
		!memcmp(&library, &answer->library, sizeof(library));
	if (holds)
		known_identity = answer->identity;
	free(answer);
	return holds;
}

static void tell_cache(const char *path)
{
	struct answer answer = {.identity = known_identity};
	const char *library = llvm->library;
	struct digest key;

	if (find_key(path, &key) && library && *library == '/' &&
	    strlen(library) < sizeof(answer.library_path) && stamp_file(library, &answer.library)) {
		strcpy(answer.library_path, library);
		cache_store(&key, &answer, sizeof(answer));
	}
}

/* ---- the compiler itself ---- */

/* It may be another than the cache had: the loader finds LLVM by more than the file's stamp. */
static void note_identity(const char *path)
{
	struct digest identity = digest_of(llvm->identity, strlen(llvm->identity));
	bool is_news = !is_known || memcmp(&identity, &known_identity, sizeof(identity)) != 0;

	known_identity = identity;
	is_known = true;
	if (is_news)
		tell_cache(path);
}

static bool load_module(const char *path)
{
	char reason[256] = "";
	sg_llvm_open_function *open;
	void *library;

	if (llvm || *failure)
		return llvm != NULL;
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!library) {
		snprintf(failure, sizeof(failure), "%s (%s)", hint(), dlerror());
		return false;
	}
	open = (sg_llvm_open_function *)dlsym(library, "sg_llvm_open");
	llvm = open ? open(SG_LLVM_VERSION, reason, sizeof(reason)) : NULL;
	if (!llvm) {
		snprintf(
		    failure, sizeof(failure), "%.200s: %s", path, *reason ? reason : "not usable");
		return false;
	}
	note_identity(path);
	return true;
}

bool compiler_identity(struct digest *identity, char *message, size_t message_size)
{
	char path[4096];

	if (!is_known) {
		module_path(path, sizeof(path));
		is_known = ask_cache(path);
		if (!is_known && !load_module(path))
			snprintf(message, message_size, "%s", failure);
	}
	*identity = known_identity;
	return is_known;
}

/* ---- compiling ---- */

/*
 * What is smaller is compiled in this process, for another takes some 20 ms more. LLVM's passes
 * being what they are, it ends within a second or two.
 */
#define LARGEST_AT_HOME (128u << 10)
#define STANDARD_LIMIT	20u /* seconds */
#define MOST_LIMIT	1000000u
#define QUICK_LIMITS	5u /* quick code is what remains, and worth a longer wait */

uint32_t compiler_limit(void)
{
	const char *setting = getenv("SOFTGPU_COMPILE_LIMIT");
	uint64_t seconds = STANDARD_LIMIT;

	if (setting && *setting && !decimal_parse(setting, 0, MOST_LIMIT, &seconds))
		log_warn_once("SOFTGPU_COMPILE_LIMIT=%s is not a number of seconds: taking %u",
		    setting, STANDARD_LIMIT);
	return (uint32_t)seconds;
}

static enum compiler_result compile_at_home(const char *path, const char *ir, size_t ir_size,
    bool is_quick, void **object, size_t *object_size, char *message, size_t message_size)
{
	if (!load_module(path)) {
		snprintf(message, message_size, "%s", failure);
		return COMPILER_NONE;
	}
	*object = llvm->compile(ir, ir_size, is_quick, object_size, message, message_size);
	return *object ? COMPILER_DONE : COMPILER_REFUSED;
}

enum compiler_result compiler_compile(const char *ir, size_t ir_size, bool is_quick, void **object,
    size_t *object_size, char *message, size_t message_size)
{
	enum apart_result result = APART_NOT_STARTED;
	uint32_t limit = compiler_limit();
	char path[4096];

	module_path(path, sizeof(path));
	if (limit && ir_size > LARGEST_AT_HOME)
		result = apart_compile(path, ir, ir_size, is_quick,
		    is_quick ? limit * QUICK_LIMITS : limit, object, object_size, message,
		    message_size);
	switch (result) {
	case APART_DONE:
		return COMPILER_DONE;
	case APART_REFUSED:
		return COMPILER_REFUSED;
	case APART_NOT_STARTED:
		return compile_at_home(
		    path, ir, ir_size, is_quick, object, object_size, message, message_size);
	default:
		return COMPILER_TOO_LONG;
	}
}
