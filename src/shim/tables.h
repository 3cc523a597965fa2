/* The private export tables, as this library fills them. Any thread. */
#pragma once

#include "abi/cuda.h"

CUresult tables_get(const void **table, const CUuuid *id);
