/*
 * How the client's threads share the command ring (src/chan/post.c), for the model checker SPIN: each
 * takes a place, writes its record, and either publishes it with those behind it or leaves a mark for
 * whoever publishes the one before. Processors let a load pass an earlier store to another address.
 *
 * THREADS threads post one record each, of one unit, into a ring of RING units; a worker takes what was
 * published. Checked:
 *
 *   - every record is published in the end, though threads go away after leaving a mark: nobody is
 *     stuck (SPIN reports an invalid end state otherwise: the worker never gets all)
 *   - none is published before it is complete
 *   - the head moves by one publisher at a time, and never back
 *
 * Each of these removes one step that the protocol needs, and must end with errors: 1:
 *
 *	-DNO_POSTER_FENCE     the mark is stored, `published` loaded, without a fence between
 *	-DNO_PUBLISHER_FENCE  `published` is stored, the mark loaded, without a fence between
 *	-DNO_SECOND_LOOK      who left a mark does not look at `published` again
 *	-DNO_EXCHANGE         a mark is taken by a load and a store
 *	-DNO_LAP              a mark does not say which time around the ring it is of
 *
 * A store is modelled by a buffer of two words per thread that drains in order, at any time; fences and
 * exchanges wait until it has. A load sees the thread's own buffer first, which matters nowhere here:
 * nobody loads what it has just stored.
 */

#define THREADS 4
#define RING	2
#define NOTHING 255

byte reserved = 0;	  /* changed by compare-and-swap: drains the buffer */
byte head = 0;		  /* in memory: the region's */
byte published = 0;	  /* in memory */
byte mark[RING];	  /* in memory, by place in the ring: where the record ends, 0: none */
bool complete[THREADS];	  /* the record is written; in memory when its mark or head is */
byte taken = 0;

/* Store buffers: head and published in that order, or a mark. The place stored, NOTHING: empty. */
byte pending_head[THREADS], pending_published[THREADS], pending_mark[THREADS];

inline fence()
{
	atomic {
		pending_head[me] == NOTHING && pending_published[me] == NOTHING &&
		pending_mark[me] == NOTHING
	}
}

/* One per thread: its stores reach memory, in order. */
proctype memory(byte me)
{
end:	do
	:: atomic { pending_mark[me] != NOTHING ->
		mark[pending_mark[me] % RING] = pending_mark[me] + 1; pending_mark[me] = NOTHING }
	:: atomic { pending_head[me] != NOTHING ->
		assert(pending_head[me] > head);
		head = pending_head[me]; pending_head[me] = NOTHING }
	:: atomic { pending_head[me] == NOTHING && pending_published[me] != NOTHING ->
		published = pending_published[me]; pending_published[me] = NOTHING }
	od
}

/* A mark that is there, and of this time around. */
#ifdef NO_LAP
#define MARKED(place) (mark[(place) % RING] != 0)
#else
#define MARKED(place) (mark[(place) % RING] == (place) + 1)
#endif

/* Takes the mark of a place: got says whether this thread has it. */
inline take(place, got)
{
	got = MARKED(place);
	if
	:: got ->
#ifdef NO_EXCHANGE
		mark[place % RING] = 0
#else
		atomic {
			pending_head[me] == NOTHING && pending_published[me] == NOTHING &&
			pending_mark[me] == NOTHING ->
			got = MARKED(place);
			if
			:: got -> mark[place % RING] = 0
			:: else
			fi
		}
#endif
	:: else
	fi
}

proctype poster(byte me)
{
	byte begin, at;
	bool got, mine;

	/* They are alike, so that each may bear the name of its place. */
	atomic { reserved == me && reserved - taken < RING -> begin = me; reserved++ };
	complete[begin] = true;
	mine = (published == begin);
	if
	:: mine
	:: else ->
		pending_mark[me] = begin;
#ifndef NO_POSTER_FENCE
		fence();
#endif
#ifdef NO_SECOND_LOOK
		mine = false;
#else
		mine = (published == begin);
#endif
		if
		:: mine -> fence(); take(begin, mine)
		:: else
		fi
	fi;
	at = begin + 1;
	do
	:: !mine -> break
	:: else ->
		pending_head[me] = at;
		pending_published[me] = at;
#ifndef NO_PUBLISHER_FENCE
		fence();
#endif
		if
		:: reserved == at -> mine = false
		:: else ->
			take(at, got);
			if
			:: got -> at++
			:: else -> mine = false
			fi;
			/* As many more as it likes before it publishes them. */
			do
			:: !mine || reserved == at -> break
			:: mine && reserved != at ->
				take(at, got);
				if
				:: got -> at++
				:: else -> break
				fi
			:: mine -> break
			od
		fi;
		/* What it stores next goes behind what it stored. */
		fence()
	od
}

active proctype worker()
{
	do
	:: taken == THREADS -> break
	:: head > taken ->
		assert(complete[taken]);
		taken++
	od
}

init {
	byte i = 0;

	atomic {
		do
		:: i < THREADS ->
			pending_head[i] = NOTHING;
			pending_published[i] = NOTHING;
			pending_mark[i] = NOTHING;
			run memory(i);
			run poster(i);
			i++
		:: else -> break
		od
	}
}
