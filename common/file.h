/*
 * file.h: whole-file reads and replacements that survive power loss.
 * Runs in: every process.     Owns: nothing.
 * Never: follows with a partial file: a replacement is complete or absent.
 * Tested in: tests/unit/common/test_file.c
 */
#ifndef TENAZA_COMMON_FILE_H
#define TENAZA_COMMON_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "common/buf.h"

/* Reads at most dst->max bytes; ERR_GONE, ERR_TOOBIG, ERR_IO (errno kept). */
int file_read(const char *path, struct buf *dst) ATTR_NODISCARD;
int fd_read_all(int fd, struct buf *dst) ATTR_NODISCARD;
/* tmp + fsync + rename + fsync(dir). */
int file_replace(const char *path, sv bytes, mode_t mode) ATTR_NODISCARD;
int dir_make(const char *path, mode_t mode) ATTR_NODISCARD; /* mkdir -p; existing is fine */
int fd_write_all(int fd, const void *p, size_t n) ATTR_NODISCARD;
void fd_close(int *fd); /* closes unless -1, sets -1; keeps errno */

#endif
