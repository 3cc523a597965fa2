/* What the files about models share. Everything here is under the worker's graph lock. */
#pragma once

#include "worker/graph_model.h"
#include "worker/graph_turn.h"

/* What is noted of a node of an executable graph that has a model. */
struct model_node {
	struct model_node *next;
	CUgraphNode node;     /* in the graph that the client made exec of: how it names the node */
	CUgraphNode in_model; /* its counterpart */
	bool unknown;	      /* exec knows it by neither of these handles */
	bool disabled;	      /* and the backend can do that */
	/* Of a copy of ordinary memory that is switched off: the child graph it consists of. In the
	 * model an empty node stands in its place. NULL: it is on. */
	CUgraph switched_off;
};

struct graph_model {
	struct graph_model *next;
	CUgraphExec exec;
	CUgraph graph; /* the model: a clone of what exec was made of, with all changes since */
	unsigned long long flags;
	bool is_remade;		/* exec was made of the model, so it knows the model's nodes */
	struct graph_turn turn; /* of exec, and of the executable graphs it replaced */
	bool must_follow;	/* exec was not launched yet, but what it replaced may have been */
	bool is_stale; /* exec differs from the model: see model_set(), graph_model_update() */
	struct model_node *entries;
	CUgraphNode *order; /* the model's nodes (graph_order.h); NULL: not asked for yet */
	size_t n;
	/* After an update replaced the model: the model's first form, in whose nodes the backend
	 * finds the client's, and these in the order of `order`. */
	CUgraph first_clone;
	CUgraphNode *first_order;
};

/* False: there is no model, nor anything that graph_switch.h keeps. Needs no lock. */
bool models_any(struct worker *worker);
/* The place of exec's model in the list; it holds NULL if there is none. */
struct graph_model **model_find(struct worker *worker, CUgraphExec exec);

/* What is noted of a node; NULL: nothing. */
struct model_node *model_node_find(const struct graph_model *model, CUgraphNode node);
/* The same, made if need be; NULL: out of memory, or the model has no such node. */
struct model_node *model_node(struct call *call, struct graph_model *model, CUgraphNode node);
/* The node's counterpart in the model; NULL: it has none. */
CUgraphNode model_counterpart(struct call *call, const struct graph_model *model, CUgraphNode node);
/* The handle by which exec knows the node; NULL: it does not. model NULL: exec has no model. */
CUgraphNode model_target(struct call *call, const struct graph_model *model, CUgraphNode node);

/* The index of a node among n; n: it is not there. */
size_t model_place(const CUgraphNode *order, size_t n, CUgraphNode node);
/* Sets order and n, if they are not set. */
CUresult model_order(struct call *call, struct graph_model *model);
/* Makes an executable graph of graph, with the flags of the model's. */
CUresult model_instantiate(
    struct call *call, const struct graph_model *model, CUgraph graph, CUgraphExec *exec);
/* exec, made of the model, replaces the model's executable graph and gets its id. */
CUresult model_take_over(struct call *call, struct graph_model *model, CUgraphExec exec);
/* Makes the executable graph again, of the model. */
CUresult model_make_anew(struct call *call, struct graph_model *model);
/* Puts a node with parameters p in the place of node's counterpart, then the same. */
CUresult model_exchange(struct call *call, struct graph_model *model, struct model_node *node,
    const CUgraphNodeParams *p);
/* graph_model_set() of a graph with a model. */
CUresult model_set(struct call *call, struct graph_model *model, CUgraphNode node,
    graph_setter *setter, const void *what);
