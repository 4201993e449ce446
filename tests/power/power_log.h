/*
 * power_log.h: what the recorder writes down and the image builder reads: one record after the other.
 * Runs in: tests.     Owns: nothing.
 * Never: changes meaning between the two: both are built from this file.
 * Tested in: tests/power/power.c
 */
#ifndef TENAZA_TESTS_POWER_LOG_H
#define TENAZA_TESTS_POWER_LOG_H

#include <stdint.h>

enum power_kind {
    POWER_NAME = 1, /* file exists under the path in the payload (it was made, or found) */
    POWER_WRITE,    /* payload at off */
    POWER_SYNC,     /* everything written to the file so far is durable */
    POWER_RANGE,    /* the n bytes at off are durable (O_DSYNC) */
    POWER_SIZE,     /* the file was cut or grown to off */
    POWER_RENAME,   /* payload: new path of the file */
    POWER_UNLINK,   /* payload: path */
    POWER_MKDIR,    /* payload: path */
    POWER_DIRSYNC,  /* payload: path of a folder whose names are durable now */
    POWER_MARK,     /* payload: what the program under test has just acknowledged */
};

/* n payload bytes follow, but for POWER_RANGE, whose n is a length only. */
struct power_rec {
    uint32_t kind;
    uint32_t file; /* number of the file, from 1; 0: none */
    uint64_t off;
    uint64_t n;
};

#endif
