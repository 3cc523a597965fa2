/*
 * Faults of compiled code: what its checks report, and what the host's memory protection catches
 * (freed device memory, a stack that ran out).
 *
 * The signal handler acts only on a thread that is inside a kernel or guarded, told by thread-local
 * pointers; all else goes to whoever handled the signal before. In a kernel it runs on the
 * machine's own signal stack, for the thread's may be used up. It does not jump: it makes the
 * interrupted flow go on in sg_context_jump or guard_leave, so that the signal ends in the ordinary
 * way and its mask is restored.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

#include "softgpu/exec/context.h"
#include "softgpu/exec/entries.h"
#include "softgpu/exec/machine.h"

#define PAGE		 4096u
#define PAGE_FAULT_WRITE 2 /* bit of x86's page fault error code */

/* What sg_guarded() is left by. */
struct guard {
	jmp_buf back;
	bool all;
};

static _Thread_local struct sg_machine *running;
static _Thread_local struct guard *volatile guard;
static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static struct sigaction previous[NSIG];
static pthread_once_t once = PTHREAD_ONCE_INIT;

void fault_set_running(struct sg_machine *machine)
{
	running = machine;
}

static void pass_on(int number, siginfo_t *info, void *context)
{
	const struct sigaction *before = &previous[number];

	if (before->sa_flags & SA_SIGINFO) {
		before->sa_sigaction(number, info, context);
	} else if (before->sa_handler == SIG_DFL || before->sa_handler == SIG_IGN) {
		/* Returning repeats the fault, now with the default effect. */
		signal(number, SIG_DFL);
	} else {
		before->sa_handler(number);
	}
}

static enum sg_fault_kind classify(int number, const struct sg_fiber *fiber, uint64_t address)
{
	if (number == SIGILL || number == SIGFPE)
		return SG_FAULT_TRAP;
	if (address - fiber->stack_guard < PAGE)
		return SG_FAULT_STACK;
	return SG_FAULT_ILLEGAL_ADDRESS;
}

/* ---- what is guarded ---- */

static bool guard_catches(int number, uint64_t address)
{
	return guard && (number == SIGSEGV || number == SIGBUS) &&
	       (guard->all || address - SG_ARENA_BASE < SG_ARENA_SIZE);
}

static _Noreturn void guard_leave(void)
{
	_longjmp(guard->back, 1);
}

/* The interrupted flow goes on as if it had called guard_leave(). */
static void guard_catch(ucontext_t *user)
{
	greg_t stack = user->uc_mcontext.gregs[REG_RSP] & ~15ll;

	user->uc_mcontext.gregs[REG_RSP] = stack - (greg_t)sizeof(void *);
	user->uc_mcontext.gregs[REG_RIP] = (greg_t)guard_leave;
}

bool sg_guarded(void (*function)(void *), void *argument, bool all)
{
	struct guard here = {.all = all};

	fault_install();
	if (_setjmp(here.back)) {
		guard = NULL;
		return false;
	}
	guard = &here;
	function(argument);
	guard = NULL;
	return true;
}

/* ---- the signals ---- */

static void handle(int number, siginfo_t *info, void *context)
{
	struct sg_machine *machine = running;
	ucontext_t *user = context;
	uint64_t address = (uint64_t)info->si_addr;

	if (!machine) {
		if (guard_catches(number, address))
			guard_catch(user);
		else
			pass_on(number, info, context);
		return;
	}
	machine_record_fault(machine, &machine->current->lane,
	    classify(number, machine->current, address), address,
	    user->uc_mcontext.gregs[REG_ERR] & PAGE_FAULT_WRITE);
	user->uc_mcontext.gregs[REG_RDI] = (greg_t)machine->scheduler;
	user->uc_mcontext.gregs[REG_RIP] = (greg_t)sg_context_jump;
}

static void install(void)
{
	struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigemptyset(&action.sa_mask);
	for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, &previous[signals[i]]);
}

void fault_install(void)
{
	pthread_once(&once, install);
}

void fault_block_signals(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
		sigdelset(&all, signals[i]);
	pthread_sigmask(SIG_BLOCK, &all, old);
}

void fault_enter(struct sg_machine *machine)
{
	stack_t stack = {.ss_sp = machine->signal_stack, .ss_size = MACHINE_SIGNAL_STACK};

	sigaltstack(&stack, &machine->old_signal_stack);
}

void fault_leave(struct sg_machine *machine)
{
	sigaltstack(&machine->old_signal_stack, NULL);
}

/* A check failed: out of range or misaligned? */
_Noreturn void sg_fault_access(
    struct sg_lane *lane, uint64_t address, uint32_t size, bool is_write, bool is_shared)
{
	bool inside =
	    is_shared ? address < lane->shared_size : address - SG_ARENA_BASE < SG_ARENA_SIZE;

	machine_fault(lane,
	    inside && address % size ? SG_FAULT_MISALIGNED : SG_FAULT_ILLEGAL_ADDRESS, address,
	    is_write);
}

uint8_t *fault_check_range(
    struct sg_lane *lane, uint64_t address, uint64_t size, bool is_shared, bool is_write)
{
	uint64_t low = is_shared ? 0 : SG_ARENA_BASE;
	uint64_t all = is_shared ? lane->shared_size : SG_ARENA_SIZE;

	if (address - low > all || size > all - (address - low))
		machine_fault(lane, SG_FAULT_ILLEGAL_ADDRESS, address, is_write);
	return is_shared ? lane->shared + address : (uint8_t *)address;
}
