/*
 * disk.c: questions and orders to the file system below the database.
 * Runs in: store.     Owns: nothing.
 * Never: reads or writes the content of a file.
 * Tested in: tests/unit/store/test_care.c
 */
#include "workers/store/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"

/* Less room than a turn with a long message needs counts as full. */
#define FULL_BYTES (256u * 1024u)

/* linux/magic.h and the man page of statfs(2). */
const char *disk_network_fs(uint64_t fs_magic)
{
    static const struct {
        uint64_t magic;
        const char *name;
    } rows[] = {{0x6969, "NFS"},       {0xff534d42, "CIFS"}, {0xfe534d42, "SMB2"},  {0x517b, "SMB"},
                {0x01021997, "9p"},    {0x65735546, "FUSE"}, {0x5346414f, "AFS"},   {0x00c36400, "Ceph"},
                {0x7461636f, "OCFS2"}, {0x01161970, "GFS2"}, {0x0bd00bd0, "Lustre"}, {0x564c, "NCP"},
                {0x73757245, "Coda"},  {0x786f4256, "VirtualBox shared folder"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].magic == fs_magic) {
            return rows[i].name;
        }
    }
    return NULL;
}

int disk_claim(const char *dir, int *lock_fd, char *text, size_t cap)
{
    struct statfs fs;
    if (dir_make(dir, 0700) != OK || statfs(dir, &fs) != 0) {
        (void)snprintf(text, cap, "cannot make or read the data folder %s: %s", dir, strerror(errno));
        return EXIT_CANTCREAT;
    }
    const char *net = disk_network_fs((uint64_t)fs.f_type & 0xffffffffu);
    if (net != NULL) {
        (void)snprintf(text, cap,
                       "the data folder %s lies on a network file system (%s): its locks and memory maps are not "
                       "reliable enough for the database; set state.dir to a local disk",
                       dir, net);
        return EXIT_CONFIG;
    }
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/store.lock", dir);
    *lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*lock_fd < 0) {
        (void)snprintf(text, cap, "cannot open %s: %s", path, strerror(errno));
        return EXIT_CANTCREAT;
    }
    if (flock(*lock_fd, LOCK_EX | LOCK_NB) != 0) {
        (void)snprintf(text, cap, "the data folder %s is in use by another store process", dir);
        fd_close(lock_fd);
        return EXIT_TEMPFAIL;
    }
    return 0;
}

uint64_t disk_free(const char *dir)
{
    struct statfs fs;
    return statfs(dir, &fs) != 0 ? UINT64_MAX : (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
}

bool disk_has_room(const char *dir)
{
    return disk_free(dir) >= FULL_BYTES;
}

static int sync_path(const char *path, int flags, int (*sync)(int fd))
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int rc = sync(fd) == 0 ? 0 : errno;
    fd_close(&fd);
    return rc;
}

int disk_sync_dir(const char *dir)
{
    return sync_path(dir, O_RDONLY | O_DIRECTORY, fsync);
}

int disk_distrust(const char *path)
{
    int rc = sync_path(path, O_RDWR, fdatasync);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        /* Advice only; where it is ignored we are no worse off: rows that were committed are on the disk. */
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        fd_close(&fd);
    }
    return rc;
}
