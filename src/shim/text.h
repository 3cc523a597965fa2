/* Strings that must live as long as the process, each distinct one kept once. Any thread. */
#pragma once

/* The kept copy of text; NULL: out of memory. */
const char *text_keep(const char *text);
