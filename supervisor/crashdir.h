/*
 * crashdir.h: the folder of crash reports: names, order, how many are kept.
 * Runs in: supervisor, command line.     Owns: nothing.
 * Never: follows a name that does not look like a report of ours.
 * Tested in: tests/unit/supervisor/test_evidence.c
 */
#ifndef TENAZA_SUPERVISOR_CRASHDIR_H
#define TENAZA_SUPERVISOR_CRASHDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRASH_ID_MAX 192
/* Reports that are kept; the oldest go. About 100 KB each at most. */
#define CRASH_KEEP 50

/* One report. */
struct crash {
    char id[CRASH_ID_MAX]; /* file name without ".txt" */
    int64_t at_ms;         /* real time, from the name */
};

void crash_dir(const char *state_dir, char *dst, size_t cap);
/* "irc_default-20261120T180431.123Z": the worker's name and the time. */
void crash_id(const char *worker, int64_t real_ms, char *dst, size_t cap);
/* False: not the name of a report. */
bool crash_id_parse(const char *id, int64_t *real_ms);
/* Fills list with the newest, newest first; returns how many. */
size_t crash_list(const char *dir, struct crash *list, size_t max);
/* Deletes all but the newest CRASH_KEEP. */
void crash_prune(const char *dir);
/* When `tenaza crashes` was last looked at (ms, real time), 0: never; and: it is, now. */
int64_t crash_seen(const char *dir);
void crash_set_seen(const char *dir);

#endif
