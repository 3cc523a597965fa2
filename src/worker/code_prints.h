/*
 * Whether code of an image can print. The device's printf is a call of `vprintf`, which the driver
 * provides: machine code names it in a string table, PTX in its text. Pure; any bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "abi/image.h"

/*
 * False only if no code for a device of one of n compute capabilities (90 for 9.0) in image names
 * vprintf. What cannot be read may print.
 */
bool code_prints(const struct abi_image *image, const unsigned *capabilities, unsigned n);
