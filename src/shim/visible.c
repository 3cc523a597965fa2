/* See visible.h. Called once per process, when the snapshot arrives. */
#include "shim/visible.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"
#include "wire/limits.h"

#define UUID_TEXT (4 + 36 + 1) /* "GPU-", the digits and hyphens, the zero */

static void uuid_text(const CUuuid *uuid, char text[UUID_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	char *at = text;

	memcpy(at, "GPU-", 4);
	at += 4;
	for (int i = 0; i < 16; i++) {
		unsigned char byte = (unsigned char)uuid->bytes[i];
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = digits[byte >> 4];
		*at++ = digits[byte & 15];
	}
	*at = '\0';
}

static bool pci_before(const struct visible_device *a, const struct visible_device *b)
{
	if (a->pci_domain != b->pci_domain)
		return a->pci_domain < b->pci_domain;
	if (a->pci_bus != b->pci_bus)
		return a->pci_bus < b->pci_bus;
	return a->pci_device < b->pci_device;
}

/* Insertion sort: it keeps equal ones in place, and there are few. */
static void order_by_pci(const struct visible_device *devices, size_t n, int *order)
{
	for (size_t i = 1; i < n; i++) {
		int moved = order[i];
		size_t k = i;
		for (; k > 0 && pci_before(&devices[moved], &devices[order[k - 1]]); k--)
			order[k] = order[k - 1];
		order[k] = moved;
	}
}

#define NONE	  (-1)
#define AMBIGUOUS (-2)

/* Place in order of the one device whose UUID begins with the entry. */
static int by_uuid(const char *entry, size_t length, const struct visible_device *devices, size_t n,
    const int *order)
{
	char text[UUID_TEXT];
	int found = NONE;

	for (size_t i = 0; i < n; i++) {
		uuid_text(&devices[order[i]].uuid, text);
		if (length >= UUID_TEXT || strncasecmp(text, entry, length) != 0)
			continue;
		if (found != NONE)
			return AMBIGUOUS;
		found = (int)i;
	}
	return found;
}

static int by_number(const char *entry, size_t length, size_t n)
{
	char text[16];

	if (length >= sizeof(text))
		return NONE;
	memcpy(text, entry, length);
	text[length] = '\0';
	char *end;
	long number = strtol(text, &end, 10);
	return end == text || number < 0 || (size_t)number >= n ? NONE : (int)number;
}

int visible_select(const char *list, const char *order_name, const struct visible_device *devices,
    size_t n, int *out)
{
	int order[WIRE_DEVICES_MAX];
	int count = 0;

	n = MIN(n, WIRE_DEVICES_MAX);
	for (size_t i = 0; i < n; i++)
		order[i] = (int)i;
	if (order_name && !strcmp(order_name, "PCI_BUS_ID"))
		order_by_pci(devices, n, order);
	if (!list) {
		memcpy(out, order, n * sizeof(*out));
		return (int)n;
	}
	for (;;) {
		while (isspace((unsigned char)*list))
			list++;
		size_t length = strcspn(list, ",");
		while (length && isspace((unsigned char)list[length - 1]))
			length--;
		int at = length >= 4 && !strncmp(list, "GPU-", 4)
			     ? by_uuid(list, length, devices, n, order)
			     : by_number(list, length, n);
		if (at < 0)
			return at == AMBIGUOUS ? 0 : count;
		for (int i = 0; i < count; i++)
			if (out[i] == order[at])
				return VISIBLE_TWICE;
		out[count++] = order[at];
		list += strcspn(list, ",");
		if (!*list++)
			return count;
	}
}
