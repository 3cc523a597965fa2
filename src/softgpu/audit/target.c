/* Names of architectures, as compilers' options have them. */
#include <stdlib.h>
#include <string.h>

#include "softgpu/audit/audit.h"

bool audit_target_read(const char *text, struct audit_target *target)
{
	static const char machine[] = "sm_", virtual[] = "compute_";
	char *end;

	*target = (struct audit_target){0};
	if (!strncmp(text, machine, strlen(machine))) {
		target->is_machine_code = true;
		text += strlen(machine);
	} else if (!strncmp(text, virtual, strlen(virtual))) {
		text += strlen(virtual);
	} else {
		return false;
	}
	target->number = (int)strtol(text, &end, 10);
	if (end == text || strlen(end) >= sizeof(target->suffix))
		return false;
	memcpy(target->suffix, end, strlen(end) + 1);
	return true;
}

void audit_target_limit(struct audit_target *target, int newest)
{
	if (target->number <= newest)
		return;
	target->number = newest;
	target->suffix[0] = 0;
}

struct sg_text audit_text(const char *text, size_t size)
{
	return (struct sg_text){.text = text, .size = strnlen(text, size)};
}
