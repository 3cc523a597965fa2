/* User objects: the program's things that live as long as a graph needs them. */
#include <stdatomic.h>
#include <unistd.h>

#include "conform.h"

static atomic_int ended; /* how often a destructor ran */
static _Atomic(void *) last;

static void end(void *object)
{
	atomic_store(&last, object);
	atomic_fetch_add(&ended, 1);
}

/* Destructors come when nobody waits for them. */
static void check_ended(int wanted)
{
	for (int i = 0; i < 1000 && atomic_load(&ended) < wanted; i++)
		usleep(10000);
	CHECK_EQ(atomic_load(&ended), wanted);
}

static void check_alive(int so_far)
{
	usleep(50000);
	CHECK_EQ(atomic_load(&ended), so_far);
}

static CUuserObject object_new(void *what, unsigned references)
{
	CUuserObject object;

	OK(cuUserObjectCreate(&object, what, end, references, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
	return object;
}

static CUgraph graph_new(void)
{
	CUgraph graph;
	CUgraphNode node;

	OK(cuGraphCreate(&graph, 0));
	OK(cuGraphAddEmptyNode(&node, graph, NULL, 0));
	return graph;
}

CONFORM(the_last_reference_ends_it)
{
	int thing;

	conform_begin();
	CUuserObject object = object_new(&thing, 2);
	OK(cuUserObjectRetain(object, 3));
	OK(cuUserObjectRelease(object, 4));
	check_alive(0);
	OK(cuUserObjectRelease(object, 1));
	check_ended(1);
	CHECK(atomic_load(&last) == &thing);
}

CONFORM(a_graph_has_references_of_its_own)
{
	int thing;

	conform_begin();
	CUuserObject object = object_new(&thing, 1);
	CUgraph graph = graph_new();
	OK(cuGraphRetainUserObject(graph, object, 2, 0));
	OK(cuUserObjectRelease(object, 1));
	check_alive(0);
	OK(cuGraphReleaseUserObject(graph, object, 1));
	check_alive(0);
	OK(cuGraphDestroy(graph));
	check_ended(1);
}

CONFORM(references_move_to_a_graph)
{
	int thing;

	conform_begin();
	CUuserObject object = object_new(&thing, 1);
	CUgraph graph = graph_new();
	OK(cuGraphRetainUserObject(graph, object, 1, CU_GRAPH_USER_OBJECT_MOVE));
	check_alive(0);
	OK(cuGraphReleaseUserObject(graph, object, 1));
	check_ended(1);
	OK(cuGraphDestroy(graph));
}

CONFORM(clones_and_executable_graphs_need_it_too)
{
	int thing;
	CUgraph clone;
	CUgraphExec exec;
	CUstream stream;

	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	CUuserObject object = object_new(&thing, 1);
	CUgraph graph = graph_new();
	OK(cuGraphRetainUserObject(graph, object, 1, CU_GRAPH_USER_OBJECT_MOVE));
	OK(cuGraphClone(&clone, graph));
	OK(cuGraphDestroy(graph));
	check_alive(0);
	OK(cuGraphInstantiateWithFlags(&exec, clone, 0));
	OK(cuGraphDestroy(clone));
	OK(cuGraphLaunch(exec, stream));
	OK(cuStreamSynchronize(stream));
	check_alive(0);
	OK(cuGraphExecDestroy(exec));
	OK(cuStreamSynchronize(stream));
	check_ended(1);
}

CONFORM(many_end_once_each)
{
	enum { MANY = 200 };
	static int things[MANY];

	conform_begin();
	CUgraph graph = graph_new();
	for (int i = 0; i < MANY; i++)
		OK(cuGraphRetainUserObject(
		    graph, object_new(&things[i], 1), 1, CU_GRAPH_USER_OBJECT_MOVE));
	OK(cuGraphDestroy(graph));
	check_ended(MANY);
	check_alive(MANY);
}

CONFORM(what_is_no_user_object)
{
	CUuserObject object;
	int thing;

	conform_begin();
	GIVES(cuUserObjectCreate(&object, &thing, end, 0, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuUserObjectCreate(&object, &thing, end, 1, 0), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuUserObjectCreate(&object, &thing, NULL, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC),
	    CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(atomic_load(&ended), 0);
}
