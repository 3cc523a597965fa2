/* The coverage table: every function the CUDA 13 driver library exports, and what Rosen does with
 * it. Printed from the same definition that makes the code. */
#pragma once

#include <json-c/json.h>

void coverage_print(void);
/* total, live, sync, async, local, nosup, functions: [{name, class, since, ...}] */
struct json_object *coverage_json(void);
