/*
 * top.h: what `tenaza top` shows: one frame from two answers of the supervisor.
 * Runs in: command line.     Owns: declarations.
 * Never: touches the terminal; cmd_top.c does.
 * Tested in: tests/scn/o2-metrics.test.mjs
 */
#ifndef TENAZA_SUPERVISOR_CLI_TOP_H
#define TENAZA_SUPERVISOR_CLI_TOP_H

#include "supervisor/cli/cli.h"

struct top {
    struct cli *cli;
    json_t *now, *before;   /* answers to "stats"; before: NULL at the first frame */
    double seconds;         /* between them */
    int rows, columns;      /* of the terminal */
    char filter[64];
    bool typing;            /* the filter is being typed */
    size_t selected;        /* among the rows that the filter leaves */
    bool show_log;
    char note[200];         /* answer to the last key */
};

/* Names of the workers that the filter leaves, in the order of the process table; returns how many there are. */
size_t top_visible(const struct top *t, const char **names, size_t max);
/* Lines ended by \n, none longer than the terminal; at most t->rows of them. */
void top_frame(const struct top *t, struct buf *out);

#endif
