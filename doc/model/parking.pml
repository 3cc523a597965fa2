/*
 * The parking protocol of src/chan (region.h describes it, wait.c and ring.c implement it), for the
 * model checker SPIN: a waiter that sleeps and a publisher that wakes it, on processors that let a
 * load pass an earlier store to another address (x86, and what C11 relaxed order allows).
 *
 * The publisher publishes ITEMS items one by one; the waiter consumes them and parks whenever it
 * finds none. A third process makes the sleep end for no reason, and a fourth rouses it once like
 * chan_stop() would. Checked:
 *
 *   - no wake-up is lost: nobody is stuck when everything was published (SPIN reports an invalid
 *     end state otherwise; the slices of sleep of the real thing are left out on purpose)
 *   - the waiter takes each item once, none that was not published
 *   - the publisher makes a wake-up call only after it saw the doorbell PARKED, at most once per park
 *
 * To run:
 *
 *	spin -a parking.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan
 *
 * must say "errors: 0". Each of these removes one step that the protocol needs, and must end with
 * errors: 1 (a deadlock: the waiter sleeps although there is an item):
 *
 *	spin -a -DNO_WAITER_FENCE parking.pml      W2 missing
 *	spin -a -DNO_PUBLISHER_FENCE parking.pml   P2 missing
 *	spin -a -DNO_SECOND_LOOK parking.pml       W3 missing
 *	spin -a -DNO_COMPARE parking.pml           W4 sleeps without comparing in the same step
 *
 * A store is modelled by a buffer of one word per process: it is visible to the other side when it
 * has drained, which may happen at any time (process `memory`); a fence, or an atomic exchange,
 * waits until it has. A load sees the own buffer first. One pending store per process is enough:
 * each side has one store before its fence, and a second store drains the first, in order.
 */

#define ITEMS	3
#define AWAKE	0
#define PARKED	1
#define NOTHING 255

byte head = 0; /* in memory: items published; the publisher's alone */
byte doorbell = AWAKE;
byte stop = 0; /* in memory: the rousing process has called */

/* Store buffers. The waiter stores only to the doorbell, the publisher plainly only to head. */
byte pending_doorbell = NOTHING;
byte pending_head = NOTHING;

bool asleep = false; /* the waiter is in the kernel */
bool token = false; /* a wake-up call has reached it there */
byte calls = 0; /* wake-up calls */
byte parks = 0; /* times the waiter stored PARKED */
byte early = 0; /* sleeps that ended for no reason so far */
byte taken = 0;
bool finished = false;

/* The store buffers drain on their own. */
active proctype memory()
{
end:	do
	:: atomic { pending_doorbell != NOTHING ->
		doorbell = pending_doorbell; pending_doorbell = NOTHING }
	:: atomic { pending_head != NOTHING -> head = pending_head; pending_head = NOTHING }
	od
}

inline store_doorbell(value)
{
	/* A second store waits for the first one: they drain in order. */
	atomic { pending_doorbell == NOTHING ->
		pending_doorbell = value;
		parks = parks + (value == PARKED)
	}
}

/* ready(): 1 when there is an item. Acquire load of head; the waiter has no store to it. */
inline look(result)
{
	atomic { result = (head > taken || stop) }
}

/*
 * futex_wait(): compares and goes to sleep in one step. The kernel's own atomic operation drains
 * the caller's buffer first.
 */
inline park()
{
	atomic { pending_doorbell == NOTHING };
#ifdef NO_COMPARE
	asleep = true; token = false;
#else
	atomic {
		if
		:: doorbell == PARKED -> asleep = true; token = false
		:: else
		fi
	};
#endif
	atomic { !asleep || token -> asleep = false; token = false }
}

active proctype waiter()
{
	byte seen;

	do
	:: taken == ITEMS -> break
	:: else ->
		look(seen);
		do
		:: seen -> break
		:: else ->
			store_doorbell(PARKED); /* W1 */
#ifndef NO_WAITER_FENCE
			atomic { pending_doorbell == NOTHING }; /* W2 */
#endif
#ifndef NO_SECOND_LOOK
			look(seen); /* W3 */
			if
			:: seen -> break
			:: else
			fi;
#endif
			park(); /* W4 */
			look(seen)
		od;
		store_doorbell(AWAKE);
		if
		:: head > taken -> taken++
		:: else -> stop = 0 /* only roused: looks for items again */
		fi;
		assert(taken <= head)
	od;
	finished = true
}

/* futex_wake() after an exchange of the doorbell, which is atomic and drains the buffer. */
inline ring(mine)
{
	byte old;

	atomic { mine; old = doorbell; doorbell = AWAKE };
	if
	:: old == PARKED ->
		atomic {
			calls++;
			assert(calls <= parks);
			if
			:: asleep -> token = true
			:: else
			fi
		}
	:: else
	fi
}

active proctype publisher()
{
	byte n = 0;

	do
	:: n == ITEMS -> break
	:: else ->
		n++;
		atomic { pending_head == NOTHING -> pending_head = n }; /* P1 */
#ifndef NO_PUBLISHER_FENCE
		atomic { pending_head == NOTHING }; /* P2 */
#endif
		if
		:: doorbell == PARKED -> /* P3 */
			ring(pending_head == NOTHING) /* P4 */
		:: else
		fi
	od
}

/* A thread of the waiter's own side that rouses it once; its fence is inside the first step. */
active proctype rouser()
{
	stop = 1;
	if
	:: doorbell == PARKED -> ring(true)
	:: else
	fi
}

/* Sleeps end for no reason: a signal, a slice of time. Twice is enough to be in the way. */
active proctype spurious()
{
end:	do
	:: atomic { early < 2 && asleep && !token -> token = true; early++ }
	od
}
