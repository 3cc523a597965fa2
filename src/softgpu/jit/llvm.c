/*
 * softgpu-llvm.so: LLVM IR in, machine code of this CPU out, by LLVM's C interface (16 to 19).
 *
 * Compiling makes an object file, which the core may keep on disk; loading links one into the
 * process. One LLJIT serves the process; each object is under a resource tracker of its own, so
 * that unloading gives its memory back. The passes are few and chosen by measurement: what O3 does
 * beyond them costs as much again and gains nothing here. The caller holds a lock around every
 * function.
 */
#include "softgpu/jit/llvm.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/IRReader.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <llvm/Config/llvm-config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if LLVM_VERSION_MAJOR >= 18 /* it would abort where one round is not enough */
#define INSTCOMBINE "instcombine<no-verify-fixpoint>"
#else
#define INSTCOMBINE "instcombine"
#endif
#define PASSES                                                                                     \
	"always-inline,globaldce,cgscc(inline),function(sroa,early-cse<memssa>,"                   \
	"simplifycfg," INSTCOMBINE ",loop-mssa(licm),gvn," INSTCOMBINE                             \
	",simplifycfg,adce),globaldce"

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

static LLVMOrcLLJITRef jit;
static LLVMTargetMachineRef machine;
static char identity[2048];

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

static LLVMTargetMachineRef new_machine(char *message, size_t size)
{
	char *triple = LLVMGetDefaultTargetTriple(), *cpu = LLVMGetHostCPUName();
	char *features = LLVMGetHostCPUFeatures(), *error = NULL;
	LLVMTargetMachineRef made = NULL;
	LLVMTargetRef target;

	if (LLVMGetTargetFromTriple(triple, &target, &error)) {
		explain(message, size, "no code generator for this CPU", error);
		LLVMDisposeMessage(error);
	} else {
		snprintf(identity, sizeof(identity),
		    "LLVM %s %s %s %s %d no sinking, less effort " PASSES, LLVM_VERSION_STRING,
		    triple, cpu, features, LLVMCodeGenLevelLess);
		made = LLVMCreateTargetMachine(target, triple, cpu, features, LLVMCodeGenLevelLess,
		    LLVMRelocPIC, LLVMCodeModelJITDefault);
	}
	LLVMDisposeMessage(triple);
	LLVMDisposeMessage(cpu);
	LLVMDisposeMessage(features);
	return made;
}

static bool define_symbols(
    const struct jit_symbol *symbols, size_t n_symbols, char *message, size_t size)
{
	LLVMOrcCSymbolMapPair *pairs = calloc(n_symbols, sizeof(*pairs));
	LLVMErrorRef error;

	if (!pairs)
		return false;
	for (size_t i = 0; i < n_symbols; i++) {
		pairs[i].Name = LLVMOrcLLJITMangleAndIntern(jit, symbols[i].name);
		pairs[i].Sym.Address = (LLVMOrcExecutorAddress)(uintptr_t)symbols[i].address;
		pairs[i].Sym.Flags.GenericFlags =
		    LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable;
	}
	error = LLVMOrcJITDylibDefine(
	    LLVMOrcLLJITGetMainJITDylib(jit), LLVMOrcAbsoluteSymbols(pairs, n_symbols));
	free(pairs);
	return !failed(error, "cannot define the machine's functions", message, size);
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

static bool optimise(LLVMModuleRef module, char *message, size_t size)
{
	LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
	LLVMErrorRef error = LLVMRunPasses(module, PASSES, machine, options);

	LLVMDisposePassBuilderOptions(options);
	return !failed(error, "LLVM's passes failed", message, size);
}

/* LLVM's buffer as memory of our own, for the core knows no LLVM. */
static void *copy_object(LLVMMemoryBufferRef buffer, size_t *size)
{
	void *object;

	*size = LLVMGetBufferSize(buffer);
	object = malloc(*size);
	if (object)
		memcpy(object, LLVMGetBufferStart(buffer), *size);
	LLVMDisposeMemoryBuffer(buffer);
	return object;
}

static void *generate(
    LLVMModuleRef module, const char *name, size_t *size, char *message, size_t message_size)
{
	char *triple = LLVMGetTargetMachineTriple(machine), *error = NULL;
	LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
	LLVMMemoryBufferRef buffer;

	LLVMSetTarget(module, triple);
	LLVMSetModuleDataLayout(module, layout);
	LLVMSetValueName2(LLVMGetNamedFunction(module, JIT_ENTRY_NAME), name, strlen(name));
	LLVMDisposeTargetData(layout);
	LLVMDisposeMessage(triple);
	if (!optimise(module, message, message_size))
		return NULL;
	if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, LLVMObjectFile, &error, &buffer)) {
		explain(message, message_size, "LLVM cannot generate code", error);
		LLVMDisposeMessage(error);
		return NULL;
	}
	return copy_object(buffer, size);
}

static void *compile(const char *ir, size_t ir_size, const char *name, size_t *size, char *message,
    size_t message_size)
{
	LLVMContextRef context = LLVMContextCreate();
	LLVMModuleRef module = parse(context, ir, ir_size, message, message_size);
	void *object = NULL;

	if (module) {
		object = generate(module, name, size, message, message_size);
		LLVMDisposeModule(module);
	}
	LLVMContextDispose(context);
	return object;
}

static void *load(const void *object, size_t size, const char *name, void **entry, char *message,
    size_t message_size)
{
	LLVMOrcResourceTrackerRef tracker =
	    LLVMOrcJITDylibCreateResourceTracker(LLVMOrcLLJITGetMainJITDylib(jit));
	LLVMMemoryBufferRef buffer =
	    LLVMCreateMemoryBufferWithMemoryRangeCopy(object, size, "kernel");
	LLVMOrcExecutorAddress address = 0;

	if (!failed(LLVMOrcLLJITAddObjectFileWithRT(jit, tracker, buffer), "LLVM", message,
		message_size) &&
	    !failed(LLVMOrcLLJITLookup(jit, &address, name), "LLVM", message, message_size)) {
		*entry = (void *)(uintptr_t)address;
		return tracker;
	}
	LLVMConsumeError(LLVMOrcResourceTrackerRemove(tracker));
	LLVMOrcReleaseResourceTracker(tracker);
	return NULL;
}

static void release(void *code)
{
	LLVMConsumeError(LLVMOrcResourceTrackerRemove(code));
	LLVMOrcReleaseResourceTracker(code);
}

__attribute__((visibility("default"))) const struct sg_llvm *sg_llvm_open(uint32_t version,
    const struct jit_symbol *symbols, size_t n_symbols, char *message, size_t message_size)
{
	static const struct sg_llvm table = {identity, compile, load, release};
	static const char *const options[] = {"softgpu", NO_SINKING, LESS_EFFORT};
	LLVMOrcLLJITBuilderRef builder;
	LLVMTargetMachineRef for_jit;

	if (version != SG_LLVM_VERSION) {
		explain(message, message_size, "softgpu-llvm.so",
		    "belongs to another version of the software GPU");
		return NULL;
	}
	LLVMParseCommandLineOptions((int)(sizeof(options) / sizeof(*options)), options, NULL);
	LLVMInitializeNativeTarget();
	LLVMInitializeNativeAsmPrinter();
	machine = new_machine(message, message_size);
	for_jit = machine ? new_machine(message, message_size) : NULL;
	if (!for_jit)
		return NULL;
	builder = LLVMOrcCreateLLJITBuilder();
	LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(
	    builder, LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(for_jit));
	if (failed(LLVMOrcCreateLLJIT(&jit, builder), "LLVM's JIT does not start", message,
		message_size))
		return NULL;
	return define_symbols(symbols, n_symbols, message, message_size) ? &table : NULL;
}
