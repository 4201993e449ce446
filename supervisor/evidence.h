/*
 * evidence.h: what the supervisor keeps of a worker to explain its death: flight recorder, other output, counters.
 * Runs in: supervisor.     Owns: the members of struct evidence.
 * Never: trusts what a worker left there; needs anything of the worker at the moment of looking.
 * Tested in: tests/unit/supervisor/test_evidence.c
 */
#ifndef TENAZA_SUPERVISOR_EVIDENCE_H
#define TENAZA_SUPERVISOR_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "common/recorder.h"

struct child;
struct sup;

/* What a worker (or its loader, or a sanitizer) wrote to stdout and stderr. */
struct outpipe {
    int fd;            /* our end of the pipe, -1: none */
    char line[1024];   /* the unfinished line */
    size_t line_n;
    char last[8192];   /* the newest of it, for the obituary */
    size_t last_n;
    int64_t second_ms; /* monotonic: the second that is being counted */
    size_t bytes;      /* read within it */
    unsigned lines;    /* logged within it */
    uint64_t left_out; /* lines not logged since the last note */
    uint64_t lines_total, left_out_total;
    ev_io io;
    ev_timer pause;    /* a flood: not read until the next second */
};

struct evidence {
    struct recorder *recorder; /* of the living incarnation, or of the dead one until the next; NULL: none */
    struct counters past;      /* what earlier incarnations counted */
    struct outpipe out;
    bool killed_by_us;         /* SIGKILL came from us */
    uint64_t oom_kills;        /* of the whole machine, when it was started */
};

/* evidence.c. Before a spawn: the recorder to hand over, -1: none (it works without). */
int evidence_recorder(struct child *c);
/* The write end of the pipe for stdout and stderr, -1: none. */
int evidence_outpipe(struct child *c);
void evidence_spawned(struct child *c, bool ok); /* watch the pipe, or drop everything */
/* Its process has ended: reads what is left in the pipe and closes it. */
void evidence_ended(struct child *c);
void evidence_free(struct child *c);
/* A number of its counters now: this incarnation and, for what only grows, all before. */
uint64_t evidence_cell(const struct child *c, const struct counter_row *row);
void evidence_histogram(const struct child *c, const struct counter_row *row, struct histogram *out);

/* outpipe.c */
void outpipe_watch(struct child *c);
void outpipe_drain(struct child *c); /* what is left in the pipe of a dead worker */
void outpipe_close(struct child *c);

/* obituary.c: one file per death below <state>/crash. cause: one line. */
struct death {
    int code, status;       /* of siginfo_t */
    bool asked;             /* we wanted it to end */
    long max_rss_kb;
    int64_t user_us, system_us;
};
void obituary_write(struct child *c, const struct death *d);
/* Processes that the kernel ended for want of memory since it booted; 0 when it does not tell. */
uint64_t obituary_oom_kills(void);

#endif
