/*
 * What a program compares while it serves an input, and inputs that make it find the two equal. A
 * mutator that changes words at random meets one certain value of 2^64 never; but whoever tests for
 * it compares, and what it compares stands in the input, as it is or with something added.
 *
 * Target and mutator may be different processes; what they share is in memory that the target
 * gives.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that fuzz_compare_init() wants, zeroed. */
extern const size_t fuzz_compare_size;
void fuzz_compare_init(void *memory);

/* The target: a run begins; it serves this record (fuzz-records.h) from now on. */
void fuzz_compare_begin(void);
void fuzz_compare_record(unsigned index);
/* The mutator's process, after a run that went well: makes inputs of what was compared. */
void fuzz_compare_learn(const uint8_t *data, size_t size);
/* One of those inputs, that has at most room bytes; 0: there is none. */
size_t fuzz_compare_next(uint8_t *data, size_t room);
