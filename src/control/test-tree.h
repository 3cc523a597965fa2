/*
 * An installation for one test: a temporary folder with rosend and the fake worker in their places,
 * and a rosend running in it. Failures end the test.
 */
#pragma once

#include <sys/types.h>

struct test_tree {
	char folder[64], rosend[96], socket[96];
	pid_t pid;
};

/* The folder alone. behaviour: FAKE_WORKER for the workers. */
struct test_tree test_tree_make(const char *behaviour);
/* Puts a copy of an executable at name. */
void test_tree_add(const struct test_tree *tree, const char *executable, const char *name);
/* test_tree_make(), and rosend in it. */
struct test_tree test_tree_start(const char *behaviour);
/* SIGTERM, then checks: rosend ended orderly, no process of the tree is left, nor its socket. */
void test_tree_stop(struct test_tree *tree);
/* Starts rosend, the first time or again after it was killed and waited for. */
void test_tree_restart(struct test_tree *tree);
/* Starts one more rosend on the same socket. */
pid_t test_tree_spawn(const struct test_tree *tree);
/* Processes whose executable lies in the tree. */
int test_tree_processes(const struct test_tree *tree);
/* The first n of them that are not its rosend; how many there are. */
int test_tree_children(const struct test_tree *tree, pid_t *children, int n);
