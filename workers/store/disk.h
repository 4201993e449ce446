/*
 * disk.h: questions and orders to the file system below the database.
 * Runs in: store.     Owns: nothing.
 * Never: reads or writes the content of a file.
 * Tested in: tests/unit/store/test_care.c
 */
#ifndef TENAZA_WORKERS_STORE_DISK_H
#define TENAZA_WORKERS_STORE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attrs.h"

/* Why a database must not live on a file system of this kind ("NFS"), or NULL. fs_magic: f_type of statfs(2). Pure. */
const char *disk_network_fs(uint64_t fs_magic);
/* Makes the folder, looks at its file system, takes the lock file in it. *lock_fd stays open as long as the lock is
 * wanted. 0, or an exit code of err.h with one sentence in text. */
int disk_claim(const char *dir, int *lock_fd, char *text, size_t cap) ATTR_NODISCARD;
/* False: the file system is as good as full. */
bool disk_has_room(const char *dir);
/* Bytes free for us; UINT64_MAX when the file system does not say. */
uint64_t disk_free(const char *dir);
/* fsync of a folder: names in it become durable. 0 or an errno. */
int disk_sync_dir(const char *dir) ATTR_NODISCARD;
/*
 * After a failed sync: whatever is still dirty is written, then the kernel is told to forget its copy, so that the
 * next read shows what is really there. 0, or the errno of the sync.
 */
int disk_distrust(const char *path) ATTR_NODISCARD;

#endif
