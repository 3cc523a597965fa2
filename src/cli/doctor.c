#include "cli/cli.h"
const struct command command_doctor = {
    .name = "doctor", .arguments = "", .summary = "", .text = ""};
