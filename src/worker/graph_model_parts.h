/* What the files of models share. Everything under the worker's graph lock. */
#pragma once

#include "worker/graph_model.h"
#include "worker/graph_turn.h"

struct model_node {
	struct model_node *next;
	CUgraphNode node; /* the client's */
	CUgraphNode own;  /* the model's */
	bool unknown;	  /* to the executable graph, under either handle */
	bool disabled;	  /* of the nodes that the backend can switch off */
	CUgraph off;	  /* what a copy with the client's part was that is switched off: own is an
			     empty node meanwhile */
};

struct graph_model {
	struct graph_model *next;
	CUgraphExec exec;
	CUgraph graph;
	unsigned long long flags;
	bool anew;		/* exec was made of graph */
	struct graph_turn turn; /* of exec, and of what was exec before */
	bool behind;		/* exec was not launched yet, what was exec before may have been */
	bool is_old; /* graph is no longer what exec is: see model_set(), graph_model_update() */
	struct model_node *entries;
	CUgraphNode *order; /* the graph's nodes (graph_order.h); NULL: not asked for yet */
	size_t n;
	CUgraph book; /* after an update that made it anew: the first clone, by which the client's
			 nodes are found */
	CUgraphNode *names; /* n nodes of book, in the same order */
};

/* False: there is none, nor anything of graph_switch.h. May be called without the lock. */
bool models_any(struct worker *worker);
/* The place of exec's model in the list; NULL in it: it has none. */
struct graph_model **model_find(struct worker *worker, CUgraphExec exec);

/* What is noted of a node; NULL: nothing. */
struct model_node *model_node_find(const struct graph_model *model, CUgraphNode node);
/* The same, made if need be; NULL: out of memory, or the model has no such node. */
struct model_node *model_node(struct call *call, struct graph_model *model, CUgraphNode node);
/* The model's node; NULL: it has none. */
CUgraphNode model_counterpart(struct call *call, const struct graph_model *model, CUgraphNode node);
/* What exec calls the node; NULL: nothing. model NULL: it has none. */
CUgraphNode model_target(struct call *call, const struct graph_model *model, CUgraphNode node);

/* Where a node is among n; n: nowhere. */
size_t model_place(const CUgraphNode *order, size_t n, CUgraphNode node);
/* Sets order. */
CUresult model_order(struct call *call, struct graph_model *model);
/* An executable graph as exec is one, of graph; and puts one in exec's place. */
CUresult model_instantiate(
    struct call *call, const struct graph_model *model, CUgraph graph, CUgraphExec *exec);
CUresult model_take_over(struct call *call, struct graph_model *model, CUgraphExec exec);
/* Makes exec anew of its model. */
CUresult model_make_anew(struct call *call, struct graph_model *model);
/* Gives the model another node in one's place, and makes exec anew. */
CUresult model_exchange(struct call *call, struct graph_model *model, struct model_node *node,
    const CUgraphNodeParams *p);
/* graph_model_set() of a graph with a model. */
CUresult model_set(struct call *call, struct graph_model *model, CUgraphNode node,
    graph_setter *setter, const void *what);
