/*
 * Device-side library functions: printf, assert, malloc, free, a graph's condition. They run on the
 * calling thread's fiber.
 *
 * Everything a kernel passes is its own doing: strings are copied out of the arena before any lock
 * is taken, so that a bad pointer ends the grid and nothing else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/exec/entries.h"
#include "softgpu/exec/machine.h"
#include "softgpu/mem/check.h"

#define FORMAT_MAX 1024
#define OUTPUT_MAX 4096
#define STRING_MAX 1024
#define HEAP_ALIGN 16u

/* At most size - 1 bytes of a string of the kernel's; one that is not mapped ends the grid. */
static size_t copy_string(struct sg_lane *lane, uint64_t address, char *out, size_t size)
{
	const char *from = (const char *)address;
	size_t length = 0;

	fault_check_range(lane, address, 1, false, false);
	while (length + 1 < size && from[length]) {
		out[length] = from[length];
		length++;
	}
	out[length] = 0;
	return length;
}

static void emit_text(struct sg_lane *lane, const char *text, size_t size)
{
	const struct sg_launch *launch = lane->block->machine->grid->launch;

	if (launch->printf_sink) {
		launch->printf_sink(launch->printf_context, text, size);
		return;
	}
	fwrite(text, 1, size, stdout);
	fflush(stdout);
}

struct printer {
	struct sg_lane *lane;
	const uint8_t *arguments;
	uint64_t offset; /* into them */
	char *out;
	size_t size, used;
	uint32_t count; /* of arguments printed */
};

static uint64_t take(struct printer *printer, unsigned size)
{
	uint64_t value = 0;

	printer->offset = align_up(printer->offset, size);
	fault_check_range(
	    printer->lane, (uint64_t)printer->arguments + printer->offset, size, false, false);
	memcpy(&value, printer->arguments + printer->offset, size);
	printer->offset += size;
	return value;
}

static void advance(struct printer *printer, int size)
{
	if (size > 0)
		printer->used = MIN(printer->used + (size_t)size, printer->size - 1);
}

/* A conversion's flags, width and precision, with * replaced; at stands behind the %. */
static const char *read_flags(
    struct printer *printer, const char *at, char *out, size_t size, bool *wide)
{
	size_t used = 0;

	out[used++] = '%';
	*wide = false;
	for (; *at && strchr("-+ #0123456789.*lhzjtL", *at) && used + 16 < size; at++) {
		if (*at == '*')
			used +=
			    (size_t)snprintf(out + used, size - used, "%d", (int)take(printer, 4));
		else if (strchr("lzjt", *at))
			*wide = true;
		else if (*at != 'h' && *at != 'L')
			out[used++] = *at;
	}
	out[used] = 0;
	return at;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static void print_string(struct printer *printer, const char *format)
{
	char text[STRING_MAX];
	uint64_t address = take(printer, 8);

	if (address)
		copy_string(printer->lane, address, text, sizeof(text));
	else
		strcpy(text, "(null)");
	advance(printer,
	    snprintf(printer->out + printer->used, printer->size - printer->used, format, text));
}

/* The kinds of conversions decide what is taken; the format is rebuilt so that it says the same. */
static void print_one(
    struct printer *printer, char *format, size_t size, char conversion, bool wide)
{
	char *out = printer->out + printer->used;
	size_t room = printer->size - printer->used, length = strlen(format);

	if (strchr("diouxXc", conversion)) {
		uint64_t value = take(printer, wide ? 8 : 4);

		if (conversion != 'c') {
			strcpy(format + length, "ll");
			length += 2;
		}
		format[length] = conversion;
		format[length + 1] = 0;
		if (conversion == 'c')
			advance(printer, snprintf(out, room, format, (int)value));
		else if (conversion == 'd' || conversion == 'i')
			advance(printer, snprintf(out, room, format,
					     wide ? (long long)value : (long long)(int32_t)value));
		else
			advance(printer, snprintf(out, room, format, (unsigned long long)value));
		return;
	}
	format[length] = conversion;
	format[length + 1] = 0;
	if (strchr("eEfFgGaA", conversion)) {
		uint64_t bits = take(printer, 8);
		double value;

		memcpy(&value, &bits, sizeof(value));
		advance(printer, snprintf(out, room, format, value));
	} else if (conversion == 'p') {
		advance(printer, snprintf(out, room, format, (void *)take(printer, 8)));
	} else if (conversion == 's') {
		print_string(printer, format);
	} else {
		advance(printer, snprintf(out, room, "%s", format));
	}
}

#pragma GCC diagnostic pop

static void print_all(struct printer *printer, const char *format)
{
	while (*format && printer->used + 1 < printer->size) {
		char conversion[64];
		bool wide;

		if (*format != '%') {
			printer->out[printer->used++] = *format++;
			continue;
		}
		if (format[1] == '%') {
			printer->out[printer->used++] = '%';
			format += 2;
			continue;
		}
		format = read_flags(printer, format + 1, conversion, sizeof(conversion) - 8, &wide);
		if (!*format)
			break;
		print_one(printer, conversion, sizeof(conversion), *format++, wide);
		printer->count++;
	}
}

void sg_builtin_vprintf(
    struct sg_lane *lane, uint32_t *result, const uint64_t *format, const uint64_t *arguments)
{
	char copy[FORMAT_MAX], out[OUTPUT_MAX];
	struct printer printer = {.lane = lane,
	    .arguments = (const uint8_t *)*arguments,
	    .out = out,
	    .size = sizeof(out)};

	copy_string(lane, *format, copy, sizeof(copy));
	print_all(&printer, copy);
	emit_text(lane, out, printer.used);
	*result = printer.count;
}

_Noreturn void sg_builtin___assertfail(struct sg_lane *lane, const uint64_t *message,
    const uint64_t *file, const uint32_t *line, const uint64_t *function, const uint64_t *char_size)
{
	char what[512], where[256], who[256], text[1200];
	int size;

	copy_string(lane, *message, what, sizeof(what));
	copy_string(lane, *file, where, sizeof(where));
	copy_string(lane, *function, who, sizeof(who));
	/* The words of the real thing: programs and their tests look for them. */
	size = snprintf(text, sizeof(text),
	    "%s:%u: %s: block: [%u,%u,%u], thread: [%u,%u,%u] Assertion `%s` failed.\n", where,
	    *line, who, lane->ctaid[0], lane->ctaid[1], lane->ctaid[2], lane->tid[0], lane->tid[1],
	    lane->tid[2], what);
	if (size > 0 && lane->block->machine->grid->launch->printf_sink)
		emit_text(lane, text, MIN((size_t)size, sizeof(text) - 1));
	else if (size > 0)
		fputs(text, stderr);
	machine_fault(lane, SG_FAULT_ASSERT, 0, false);
}

/* The size in front tells free() what to give back. */
void sg_builtin_malloc(struct sg_lane *lane, uint64_t *result, const uint64_t *size)
{
	const struct sg_memory_ops *memory = &lane->block->machine->grid->kernel->module->memory;
	uint64_t address;

	*result = 0;
	if (*size > SG_ARENA_SIZE ||
	    memory->alloc(memory->context, *size + HEAP_ALIGN, HEAP_ALIGN, &address) < 0)
		return;
	if (lane->block->machine->check)
		sg_poison((void *)(address + HEAP_ALIGN), *size);
	*(uint64_t *)address = *size + HEAP_ALIGN;
	*result = address + HEAP_ALIGN;
}

void sg_builtin_free(struct sg_lane *lane, const uint64_t *address)
{
	const struct sg_memory_ops *memory = &lane->block->machine->grid->kernel->module->memory;
	uint64_t start = *address - HEAP_ALIGN;

	if (!*address)
		return;
	fault_check_range(lane, start, HEAP_ALIGN, false, false);
	memory->free(memory->context, start, *(uint64_t *)start);
}

void sg_builtin_cudaGraphSetConditional(
    struct sg_lane *lane, const uint64_t *handle, const uint32_t *value)
{
	fault_check_range(lane, *handle, sizeof(*value), false, true);
	if (*handle % sizeof(*value))
		machine_fault(lane, SG_FAULT_MISALIGNED, *handle, true);
	/* Relaxed: it is read when the kernel has ended. */
	atomic_store_explicit((_Atomic uint32_t *)*handle, *value, memory_order_relaxed);
}
