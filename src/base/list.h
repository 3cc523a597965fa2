/*
 * A doubly linked list whose links lie in its members. The head is a link of its own; an empty list
 * points at itself. Removing the member a loop stands on is fine with list_for_each().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"

struct list {
	struct list *previous, *next;
};

static inline void list_init(struct list *list)
{
	list->previous = list->next = list;
}

static inline bool list_is_empty(const struct list *list)
{
	return list->next == list;
}

static inline void list_append(struct list *list, struct list *link)
{
	link->previous = list->previous;
	link->next = list;
	list->previous->next = link;
	list->previous = link;
}

/* A removed link is an empty list again, so that removing it twice is harmless. */
static inline void list_remove(struct list *link)
{
	link->previous->next = link->next;
	link->next->previous = link->previous;
	list_init(link);
}

#define list_for_each(head, link)                                                                  \
	for (struct list *link = (head)->next, *link##_next = link->next; link != (head);          \
	    link = link##_next, link##_next = link->next)
