/*
 * conf_lex.h: finds the numbers that libconfig 1.5 would change silently (architecture.md 15, trap 15).
 * Runs in: supervisor, command line.     Owns: nothing.
 * Never: parses more than numbers, strings and comments.
 * Tested in: tests/unit/supervisor/test_conf_lex.c
 */
#ifndef TENAZA_SUPERVISOR_CONF_LEX_H
#define TENAZA_SUPERVISOR_CONF_LEX_H

#include <stdbool.h>

#include "common/sv.h"

struct conf_lex_error {
    unsigned line;  /* 1-based */
    char text[200]; /* what is wrong and what would be right */
};

/* Looks at the text from *pos on; true: a number at err->line would be misread, *pos stands behind it. */
bool conf_lex_next_error(sv text, size_t *pos, struct conf_lex_error *err);

#endif
