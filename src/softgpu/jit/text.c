/* The translator's output buffer: a function's code is some hundred kilobytes of small appends. */
#include "softgpu/jit/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_fini(struct text *text)
{
	free(text->bytes);
	*text = (struct text){0};
}

/* Room for size more bytes and a NUL. */
static bool reserve(struct text *text, size_t size)
{
	size_t capacity = MAX(text->capacity, (size_t)4096);
	char *larger;

	if (text->failed)
		return false;
	if (text->size + size < text->capacity)
		return true;
	while (capacity <= text->size + size)
		capacity *= 2;
	larger = realloc(text->bytes, capacity);
	if (!larger) {
		text->failed = true;
		return false;
	}
	text->bytes = larger;
	text->capacity = capacity;
	return true;
}

void text_append(struct text *text, const char *bytes, size_t size)
{
	if (!reserve(text, size))
		return;
	memcpy(text->bytes + text->size, bytes, size);
	text->size += size;
	text->bytes[text->size] = 0;
}

void text_vformat(struct text *text, const char *format, va_list arguments)
{
	va_list again;
	int size;

	if (!reserve(text, 256))
		return;
	va_copy(again, arguments);
	size = vsnprintf(text->bytes + text->size, text->capacity - text->size, format, arguments);
	if (size >= 0 && text->size + (size_t)size >= text->capacity && reserve(text, (size_t)size))
		vsnprintf(text->bytes + text->size, text->capacity - text->size, format, again);
	va_end(again);
	if (size >= 0 && !text->failed)
		text->size += (size_t)size;
}

void text_format(struct text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text_vformat(text, format, arguments);
	va_end(arguments);
}
