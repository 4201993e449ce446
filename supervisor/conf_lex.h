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
    char path[256]; /* "edge.port"; cut when longer */
    char text[200]; /* what is wrong and what would be right */
};

#define CONF_LEX_DEPTH 16

struct conf_lexer {
    sv text;
    size_t pos;
    sv name;                   /* last name seen: of the setting whose value comes next */
    sv groups[CONF_LEX_DEPTH]; /* names of the open braces, empty inside lists */
    unsigned depth;            /* may be greater than the table, which then has the outer ones */
};

/* Looks on from where it stands: true: a number would be misread, *err says where. False: the end. */
bool conf_lex_next_error(struct conf_lexer *l, struct conf_lex_error *err);

#endif
