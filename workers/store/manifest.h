/*
 * manifest.h: the list of files of a backup with their digests.
 * Runs in: store executable as a tool.     Owns: struct manifest.
 * Never: lists a file outside the folder of the backup.
 * Tested in: tests/unit/store/test_backup.c
 *
 * A text: "tenaza-backup 1", "created TIME", "schema N", one "file NAME BYTES SHA256" for each file, "end".
 */
#ifndef TENAZA_WORKERS_STORE_MANIFEST_H
#define TENAZA_WORKERS_STORE_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/attrs.h"
#include "common/buf.h"

#define MANIFEST_NAME "MANIFEST"

struct manifest_file {
    sv name; /* "data.mdb" or "media/<64 hex digits>" */
    uint64_t bytes;
    char digest[65];
};

struct manifest {
    sv created; /* ISO 8601 */
    uint64_t schema;
    struct manifest_file *files;
    size_t n, cap;
};

void manifest_free(struct manifest *m);
/* Digests the file dir/name and lists it; name is copied into the arena. 0 or an errno. */
int manifest_add(struct manifest *m, const char *dir, const char *name, struct arena *a) ATTR_NODISCARD;
void manifest_print(const struct manifest *m, struct buf *out);
/* Views into `text`, which must live as long. ERR_PARSE: it is no whole manifest. */
int manifest_parse(struct manifest *m, sv text) ATTR_NODISCARD;
/* Digest and length of a file, as a manifest has them. 0 or an errno. */
int manifest_digest(const char *path, char digest[65], uint64_t *bytes) ATTR_NODISCARD;

#endif
