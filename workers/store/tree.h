/*
 * tree.h: small folders as a whole: removed, made durable, copied, handed to another user.
 * Runs in: store executable as a tool.     Owns: nothing.
 * Never: follows a symbolic link.
 * Tested in: tests/unit/store/test_backup.c
 */
#ifndef TENAZA_WORKERS_STORE_TREE_H
#define TENAZA_WORKERS_STORE_TREE_H

#include "common/attrs.h"

/* All but the first: 0, or -1 with errno. */
void tree_remove(const char *dir);
/* fsync of every file and folder below and of dir itself. */
int tree_sync(const char *dir) ATTR_NODISCARD;
int tree_sync_parent(const char *path) ATTR_NODISCARD;
int tree_copy_file(const char *from, const char *to, const char *name) ATTR_NODISCARD;
/* from/name with the files in it (no folders) to to/name, which is made. */
int tree_copy_folder(const char *from, const char *to, const char *name) ATTR_NODISCARD;
/* As root: everything below dir gets the owner of `like` (NULL: of the folder dir is in). */
int tree_own(const char *dir, const char *like) ATTR_NODISCARD;

#endif
