#include "cli/cli.h"
const struct command command_info = {.name = "info", .arguments = "", .summary = "", .text = ""};
