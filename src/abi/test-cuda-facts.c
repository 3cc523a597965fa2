/*
 * One table of facts, compiled twice: both headers declare the same names, so they cannot meet in
 * one translation unit. The build says which (CUDA_HEADER) and what to call the table (CUDA_FACTS);
 * the list of names (CUDA_NAMES) comes from our own headers by test-cuda-types.awk, so it is always
 * complete.
 */
#define __CUDA_API_VERSION_INTERNAL /* NVIDIA's header: declare the structs before CUDA 3.2 too */

#include CUDA_HEADER

#include "abi/test-cuda-facts.h"

#define VALUE(name)	     {#name, (long long)(name)},
#define SIZE(type)	     {"sizeof " #type, sizeof(type)}, {"alignof " #type, _Alignof(type)},
#define OFFSET(type, member) {"offsetof " #type "." #member, offsetof(type, member)},

static const struct cuda_fact rows[] = {
#include CUDA_NAMES
};

const struct cuda_facts CUDA_FACTS = {rows, sizeof(rows) / sizeof(rows[0])};
