/*
 * softgpu-llvm.so: LLVM IR in, machine code of this CPU out, by LLVM's C interface (16 to 19).
 *
 * Compiling makes an object file, which the core keeps on disk and loads by itself (load.c). Its
 * code is of the small model: the core puts what belongs to a kernel side by side. The passes are
 * few and chosen by measurement: what O3 does beyond them costs as much again and gains nothing
 * here. Quick code has next to none: registers stay in memory as the translation has them, and the
 * code generator looks at one block at a time. The caller holds a lock around every function.
 *
 * How much stack the code takes LLVM tells in a warning only, which it is made to give for each
 * function.
 */
#include "softgpu/jit/llvm.h"

#include <dlfcn.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/IRReader.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <llvm/Config/llvm-config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "softgpu/jit/build-id.h"
#include "softgpu/jit/masks.h"

#if LLVM_VERSION_MAJOR >= 18 /* it would abort where one round is not enough */
#define INSTCOMBINE "instcombine<no-verify-fixpoint>"
#else
#define INSTCOMBINE "instcombine"
#endif
#define PASSES                                                                                     \
	"always-inline,globaldce,cgscc(inline),function(sroa,early-cse<memssa>,"                   \
	"simplifycfg," INSTCOMBINE ",loop-mssa(licm),gvn," INSTCOMBINE                             \
	",simplifycfg,adce),globaldce"
#define QUICK_PASSES "always-inline,globaldce"

/*
 * Where each access is checked, code is full of branches that are never taken, and LLVM likes to
 * move a value behind them to its only use. The values are wide: what it needs would wait on the
 * stack.
 */
#define NO_SINKING "-instcombine-code-sinking=false", "-disable-machine-sink"

/*
 * The scheduler of machine instructions gains nothing measurable here and is a tenth of the time to
 * compile. Register allocation looks for the best places to split a value's life in ever wider
 * regions; what it finds beyond a few dozen blocks is worth nothing, and was another fifth.
 */
#define LESS_EFFORT "-enable-misched=false", "-grow-region-complexity-budget=100"

/*
 * A pass that moves chains of integers' logic into mask registers asks of each member of a chain
 * where else it is used, so that its time goes with the square of the chain's length. Masks are
 * such chains through the whole of a kernel: one of 19 000 lines took a minute, of which the rest
 * of LLVM had seven seconds. What it moves makes no kernel of the benchmark faster.
 */
#define NO_REASSIGNMENT "-disable-x86-domain-reassignment"

static const char *const flags[] = {"softgpu", NO_SINKING, LESS_EFFORT, NO_REASSIGNMENT};

static LLVMTargetMachineRef machine, quick_machine;
static char *identity;

static void explain(char *message, size_t size, const char *what, const char *why)
{
	snprintf(message, size, "%s: %s", what, why);
}

/* True when error is one; it is consumed. */
static bool failed(LLVMErrorRef error, const char *what, char *message, size_t size)
{
	char *text;

	if (!error)
		return false;
	text = LLVMGetErrorMessage(error);
	explain(message, size, what, text);
	LLVMDisposeErrorMessage(text);
	return true;
}

/* The build ID of what address lies in, in hexadecimal; nothing where it has none. */
static void write_build_id(FILE *out, const void *address)
{
	uint8_t id[BUILD_ID_MOST];
	size_t size = build_id_of(address, id);

	for (size_t i = 0; i < size; i++)
		fprintf(out, "%02x", id[i]);
	fputc(' ', out);
}

/* The builds of this file and of LLVM, and what they are told. */
static bool describe(const char *triple, const char *cpu, const char *features)
{
	size_t size;
	FILE *out = open_memstream(&identity, &size);

	if (!out)
		return false;
	write_build_id(out, &identity);
	write_build_id(out, (const void *)LLVMContextCreate);
	fprintf(out, "%s %s %s %s " PASSES " " QUICK_PASSES, LLVM_VERSION_STRING, triple, cpu,
	    features);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		fprintf(out, " %s", flags[i]);
	return !fclose(out);
}

static bool make_machines(char *message, size_t size)
{
	char *triple = LLVMGetDefaultTargetTriple(), *cpu = LLVMGetHostCPUName();
	char *features = LLVMGetHostCPUFeatures(), *error = NULL;
	LLVMTargetRef target;

	if (LLVMGetTargetFromTriple(triple, &target, &error)) {
		explain(message, size, "no code generator for this CPU", error);
		LLVMDisposeMessage(error);
	} else if (!describe(triple, cpu, features)) {
		explain(message, size, "LLVM", "out of memory");
	} else {
		machine = LLVMCreateTargetMachine(target, triple, cpu, features,
		    LLVMCodeGenLevelLess, LLVMRelocPIC, LLVMCodeModelSmall);
		quick_machine = LLVMCreateTargetMachine(target, triple, cpu, features,
		    LLVMCodeGenLevelNone, LLVMRelocPIC, LLVMCodeModelSmall);
	}
	LLVMDisposeMessage(triple);
	LLVMDisposeMessage(cpu);
	LLVMDisposeMessage(features);
	return machine && quick_machine;
}

static LLVMModuleRef parse(
    LLVMContextRef context, const char *ir, size_t size, char *message, size_t message_size)
{
	LLVMMemoryBufferRef buffer =
	    LLVMCreateMemoryBufferWithMemoryRange(ir, size, "kernel", true);
	LLVMModuleRef module = NULL;
	char *error = NULL;

	if (LLVMParseIRInContext(context, buffer, &module, &error)) {
		explain(message, message_size, "LLVM cannot read the translation", error);
		LLVMDisposeMessage(error);
		return NULL;
	}
	if (LLVMVerifyModule(module, LLVMReturnStatusAction, &error)) {
		explain(message, message_size, "LLVM finds the translation wrong", error);
		LLVMDisposeMessage(error);
		LLVMDisposeModule(module);
		return NULL;
	}
	LLVMDisposeMessage(error);
	return module;
}

static bool optimise(LLVMModuleRef module, const char *passes, char *message, size_t size)
{
	LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
	LLVMErrorRef error = LLVMRunPasses(module, passes, machine, options);

	LLVMDisposePassBuilderOptions(options);
	return !failed(error, "LLVM's passes failed", message, size);
}

/* What is told of while code is generated. */
struct report {
	uint64_t stack_bytes;
	char *message;
	size_t message_size;
	bool is_error;
};

static void listen(LLVMDiagnosticInfoRef info, void *context)
{
	static const char stack[] = "stack frame size (";
	struct report *report = context;
	char *text = LLVMGetDiagInfoDescription(info), *size = strstr(text, stack);

	if (LLVMGetDiagInfoSeverity(info) == LLVMDSError) {
		report->is_error = true;
		explain(report->message, report->message_size, "LLVM", text);
	} else if (size) { /* a place in the source is before it */
		report->stack_bytes += strtoull(size + sizeof(stack) - 1, NULL, 10);
	}
	LLVMDisposeMessage(text);
}

/* "warn-stack-size" is the size above which a warning comes. */
static void ask_for_stack_sizes(LLVMModuleRef module)
{
	static const char name[] = "warn-stack-size";
	LLVMAttributeRef attribute =
	    LLVMCreateStringAttribute(LLVMGetModuleContext(module), name, sizeof(name) - 1, "0", 1);

	for (LLVMValueRef function = LLVMGetFirstFunction(module); function;
	    function = LLVMGetNextFunction(function))
		if (LLVMGetFirstBasicBlock(function))
			LLVMAddAttributeAtIndex(
			    function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attribute);
}

/* LLVM's buffer as memory of our own, for the core knows no LLVM. */
static void *copy_object(LLVMMemoryBufferRef buffer, uint64_t stack_bytes, size_t *size)
{
	struct sg_llvm_object *object;

	*size = sizeof(*object) + LLVMGetBufferSize(buffer);
	object = malloc(*size);
	if (object) {
		object->stack_bytes = stack_bytes;
		memcpy(object->file, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
	}
	LLVMDisposeMemoryBuffer(buffer);
	return object;
}

static void place_at_home(LLVMModuleRef module)
{
	char *triple = LLVMGetTargetMachineTriple(machine);
	LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);

	LLVMSetTarget(module, triple);
	LLVMSetModuleDataLayout(module, layout);
	LLVMDisposeTargetData(layout);
	LLVMDisposeMessage(triple);
}

static void *generate(
    LLVMModuleRef module, bool is_quick, const struct report *report, size_t *size)
{
	LLVMMemoryBufferRef buffer;
	char *error = NULL;

	place_at_home(module);
	if (!optimise(
		module, is_quick ? QUICK_PASSES : PASSES, report->message, report->message_size))
		return NULL;
	if (!is_quick)
		masks_settle(module);
	ask_for_stack_sizes(module);
	if (LLVMTargetMachineEmitToMemoryBuffer(
		is_quick ? quick_machine : machine, module, LLVMObjectFile, &error, &buffer)) {
		explain(report->message, report->message_size, "LLVM cannot generate code", error);
		LLVMDisposeMessage(error);
		return NULL;
	}
	if (report->is_error) {
		LLVMDisposeMemoryBuffer(buffer);
		return NULL;
	}
	return copy_object(buffer, report->stack_bytes, size);
}

static void *compile(
    const char *ir, size_t ir_size, bool is_quick, size_t *size, char *message, size_t message_size)
{
	struct report report = {.message = message, .message_size = message_size};
	LLVMContextRef context = LLVMContextCreate();
	LLVMModuleRef module = parse(context, ir, ir_size, message, message_size);
	void *object = NULL;

	if (module) {
		LLVMContextSetDiagnosticHandler(context, listen, &report);
		object = generate(module, is_quick, &report, size);
		LLVMDisposeModule(module);
	}
	LLVMContextDispose(context);
	return object;
}

/* NULL: nobody knows. */
static const char *library_of_llvm(void)
{
	Dl_info info;

	return dladdr((const void *)LLVMContextCreate, &info) ? info.dli_fname : NULL;
}

__attribute__((visibility("default"))) const struct sg_llvm *sg_llvm_open(
    uint32_t version, char *message, size_t message_size)
{
	static struct sg_llvm table = {.compile = compile};

	if (version != SG_LLVM_VERSION) {
		explain(message, message_size, "softgpu-llvm.so",
		    "belongs to another version of the software GPU");
		return NULL;
	}
	LLVMParseCommandLineOptions((int)ARRAY_SIZE(flags), flags, NULL);
	LLVMInitializeNativeTarget();
	LLVMInitializeNativeAsmPrinter();
	if (!make_machines(message, message_size))
		return NULL;
	table.identity = identity;
	table.library = library_of_llvm();
	return &table;
}
