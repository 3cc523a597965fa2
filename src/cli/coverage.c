/* See coverage.h. Rosen's internal functions are not exported and do not count. */
#include "cli/coverage.h"

#include <stdio.h>

#include "base/util.h"
#include "cli/table.h"
#include "gen/api_desc.h"

static const char *const class_names[] = {
    [API_SYNC] = "sync", [API_ASYNC] = "async", [API_LOCAL] = "local", [API_NOSUP] = "nosup"};

struct counts {
	unsigned total, by_class[ARRAY_SIZE(class_names)];
};

static struct counts count(void)
{
	struct counts counts = {0};

	for (size_t i = 0; i < API_N_FUNCTIONS; i++) {
		if (api_desc[i].flags & API_F_INTERNAL)
			continue;
		counts.total++;
		counts.by_class[api_desc[i].class]++;
	}
	return counts;
}

static const char *halves_by_hand(uint32_t flags)
{
	bool shim = flags & API_F_CUSTOM_SHIM, server = flags & API_F_CUSTOM_SERVER;

	return shim && server ? "both" : shim ? "shim" : server ? "server" : "";
}

void coverage_print(void)
{
	static const char *const titles[] = {"FUNCTION", "CLASS", ">SINCE", "BY HAND", "TEST"};
	struct table *table = table_new(titles, ARRAY_SIZE(titles));
	struct counts counts = count();

	for (size_t i = 0; i < API_N_FUNCTIONS; i++) {
		const struct api_desc *desc = &api_desc[i];
		if (desc->flags & API_F_INTERNAL)
			continue;
		table_add(table, "%s", desc->name);
		table_add(table, "%s", class_names[desc->class]);
		table_add(table, "%u.%u", desc->since / 1000, desc->since % 1000 / 10);
		table_add(table, "%s", halves_by_hand(desc->flags));
		table_add(table, "%s", desc->flags & API_F_CODEC_TEST ? "entry, codec" : "entry");
	}
	table_print(table, stdout, 0);
	table_free(table);
	printf("\n%u functions, %u live: %u sync (wait), %u async (posted), %u local (answered in "
	       "the program)\n%u nosup: CUDA_ERROR_NOT_SUPPORTED, logged once by name\n",
	    counts.total, counts.total - counts.by_class[API_NOSUP], counts.by_class[API_SYNC],
	    counts.by_class[API_ASYNC], counts.by_class[API_LOCAL], counts.by_class[API_NOSUP]);
}

static struct json_object *function_json(const struct api_desc *desc)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "name", json_object_new_string(desc->name));
	json_object_object_add(object, "class", json_object_new_string(class_names[desc->class]));
	json_object_object_add(object, "since", json_object_new_int64(desc->since));
	json_object_object_add(object, "id", json_object_new_int64(desc->id));
	json_object_object_add(
	    object, "by_hand", json_object_new_string(halves_by_hand(desc->flags)));
	json_object_object_add(object, "test",
	    json_object_new_boolean((desc->flags & (API_F_ENTRY_TEST | API_F_CODEC_TEST)) != 0));
	if (desc->base)
		json_object_object_add(object, "alias_of", json_object_new_string(desc->base));
	return object;
}

struct json_object *coverage_json(void)
{
	struct json_object *object = json_object_new_object(), *functions = json_object_new_array();
	struct counts counts = count();

	json_object_object_add(object, "total", json_object_new_int64(counts.total));
	json_object_object_add(
	    object, "live", json_object_new_int64(counts.total - counts.by_class[API_NOSUP]));
	for (size_t i = 0; i < ARRAY_SIZE(class_names); i++)
		json_object_object_add(
		    object, class_names[i], json_object_new_int64(counts.by_class[i]));
	for (size_t i = 0; i < API_N_FUNCTIONS; i++)
		if (!(api_desc[i].flags & API_F_INTERNAL))
			json_object_array_add(functions, function_json(&api_desc[i]));
	json_object_object_add(object, "functions", functions);
	return object;
}
