/*
 * dirs.c: state and runtime directory, the locks that keep a second gateway out, the log file.
 * Runs in: supervisor.     Owns: the lock descriptors and the log file.
 * Never: deletes anything but its own old log files and stale sockets below a locked directory.
 * Tested in: tests/scn/a2-bad-input.test.mjs
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "supervisor/paths.h"
#include "supervisor/sup.h"

/* Sockets below the runtime directory; the longest name decides whether the path is short enough. */
#define LONGEST_SOCKET "/store/sock"

static int exit_code_for(int error)
{
    return error == EACCES || error == EPERM || error == EROFS ? EXIT_NOPERM : EXIT_CANTCREAT;
}

/* Makes the directory with its parents; *made: it was not there. */
static void make_dir(const char *what, const char *path, bool *made)
{
    struct stat st;

    *made = stat(path, &st) != 0;
    if (dir_make(path, 0700) != 0) {
        die(exit_code_for(errno), "%s directory %s cannot be made: %s", what, path, strerror(errno));
    }
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        die(EXIT_CANTCREAT, "%s directory %s is not a directory", what, path);
    }
}

static void resolve(const char *path, char dst[PATH_MAX])
{
    if (realpath(path, dst) == NULL) {
        die(EXIT_CANTCREAT, "%s: %s", path, strerror(errno));
    }
}

/* An exclusive lock for as long as this process lives; workers do not inherit it. */
static int take_lock(const char *what, const char *dir)
{
    char path[PATH_MAX + 8];

    snprintf(path, sizeof path, "%s/lock", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        die(exit_code_for(errno), "%s directory %s cannot be written: %s", what, dir, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        char pid[24] = "";
        ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
        die(EXIT_TEMPFAIL, "another gateway is running on %s (locked by pid %.*s); stop it first: tenaza --state %s stop",
            dir, n > 0 ? (int)strcspn(pid, "\n") : 1, n > 0 ? pid : "?", dir);
    }
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n) {
        die(EXIT_CANTCREAT, "%s cannot be written: %s", path, strerror(errno));
    }
    return fd;
}

int dirs_write_small(const char *dir, const char *name, const char *text)
{
    char path[PATH_MAX + 64];
    char temp[PATH_MAX + 72];

    /* No fsync: what is written here means nothing after the machine went down. */
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(temp, sizeof temp, "%s.new", path);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return ERR_IO;
    }
    int rc = fd_write_all(fd, text, strlen(text));
    fd_close(&fd);
    return rc == 0 && rename(temp, path) == 0 ? 0 : ERR_IO;
}

void dirs_state(struct sup *s)
{
    const char *configured = cfg_str(&s->cfg, "supervisor.stateDir");
    const char *path = s->opts.state ? s->opts.state : configured;
    char fallback[PATH_MAX];

    if (path == NULL) {
        if (!paths_default_state(fallback, sizeof fallback)) {
            die(EXIT_USAGE, "no state directory: give --state DIR (there is no HOME either)");
        }
        path = fallback;
    }
    make_dir("state", path, &s->state_made);
    resolve(path, s->state_dir);
    s->state_lock = take_lock("state", s->state_dir);
}

static bool path_fits(const char *dir)
{
    return strlen(dir) + strlen(LONGEST_SOCKET) <= SUP_SOCKET_PATH_MAX;
}

/* Where the sockets go when the wanted place has too long a path; the same for the same state directory. */
static void short_place(const struct sup *s, char *dst, size_t cap)
{
    snprintf(dst, cap, "/tmp/tenaza-%u-%08x", (unsigned)getuid(),
             (unsigned)(sv_hash(sv_of(s->state_dir)) & 0xffffffffu));
}

/* /tmp is everybody's: take the directory only when it is ours and closed to others. */
static void check_private(const char *dir)
{
    struct stat st;

    if (lstat(dir, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != getuid() || (st.st_mode & 077) != 0) {
        die(EXIT_NOPERM, "runtime directory %s is not a private directory of ours; set supervisor.runtimeDir", dir);
    }
}

void dirs_runtime(struct sup *s)
{
    const char *configured = cfg_str(&s->cfg, "supervisor.runtimeDir");
    const char *from_env = getenv("TENAZA_RUNTIME_DIR");
    const char *systemd = getenv("RUNTIME_DIRECTORY");
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    char path[PATH_MAX];
    bool made;

    if (configured != NULL) {
        snprintf(path, sizeof path, "%s", configured);
    } else if (from_env != NULL && from_env[0] == '/') {
        snprintf(path, sizeof path, "%s", from_env);
    } else if (systemd != NULL && systemd[0] == '/') {
        /* Several directories are separated by colons; the first is ours. */
        snprintf(path, sizeof path, "%.*s", (int)strcspn(systemd, ":"), systemd);
    } else if (s->opts.state == NULL && xdg != NULL && xdg[0] == '/') {
        snprintf(path, sizeof path, "%s/tenaza", xdg);
    } else if (snprintf(path, sizeof path, "%s/run", s->state_dir) >= (int)sizeof path) {
        die(EXIT_CANTCREAT, "state directory %s: path too long", s->state_dir);
    }
    if (!path_fits(path)) {
        if (configured != NULL) {
            die(EXIT_CONFIG, "supervisor.runtimeDir %s is too long: a socket path may have %d bytes", path,
                SUP_SOCKET_PATH_MAX);
        }
        short_place(s, path, sizeof path);
    }
    make_dir("runtime", path, &made);
    resolve(path, s->run_dir);
    if (strncmp(path, "/tmp/tenaza-", 12) == 0) {
        check_private(s->run_dir);
    }
    s->run_lock = take_lock("runtime", s->run_dir);
    char text[PATH_MAX + 1];
    snprintf(text, sizeof text, "%s\n", s->run_dir);
    if (dirs_write_small(s->state_dir, "runtime-dir", text) != 0) {
        die(exit_code_for(errno), "state directory %s cannot be written: %s", s->state_dir, strerror(errno));
    }
}

static void log_path(const struct sup *s, char *dst, size_t cap)
{
    const char *dir = cfg_str(&s->cfg, "logging.file.dir");

    if (dir != NULL) {
        snprintf(dst, cap, "%s/tenaza.log", dir);
    } else {
        snprintf(dst, cap, "%s/logs/tenaza.log", s->state_dir);
    }
}

int dirs_log_open(const struct sup *s)
{
    char path[PATH_MAX + 32];

    log_path(s, path, sizeof path);
    return open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

void dirs_log(struct sup *s)
{
    char path[PATH_MAX + 32];
    bool made;

    s->log_fd = -1;
    if (!cfg_int(&s->cfg, "logging.file.enabled")) {
        return;
    }
    log_path(s, path, sizeof path);
    char *dir = xstrndup(path, strlen(path) - strlen("/tenaza.log"));
    make_dir("log", dir, &made);
    xfree(dir);
    s->log_fd = dirs_log_open(s);
    if (s->log_fd < 0) {
        die(exit_code_for(errno), "log file %s cannot be written: %s", path, strerror(errno));
    }
}

/* More than this many times logging.file.maxSize between two looks is a flood. */
#define FLOOD_FACTOR 4

static bool copy_all(int from, int to, off_t size)
{
    off_t at = 0;

    while (at < size) {
        ssize_t n = sendfile(to, from, &at, (size_t)(size - at));
        if (n <= 0) {
            return false;
        }
    }
    return true;
}

/*
 * Workers hold the file open with O_APPEND and cannot be told to open another one, so the old content is
 * copied away and the file cut to nothing: the next line of each writer goes to the new beginning. Lines that
 * arrive between copy and cut are lost; a log is not a ledger.
 */
void dirs_log_check(struct sup *s)
{
    char path[PATH_MAX + 32];
    char from[PATH_MAX + 48];
    char to[PATH_MAX + 48];
    struct stat st;

    if (s->log_fd < 0 || fstat(s->log_fd, &st) != 0 || st.st_size < cfg_int(&s->cfg, "logging.file.maxSize")) {
        return;
    }
    log_path(s, path, sizeof path);
    for (int64_t i = cfg_int(&s->cfg, "logging.file.keep"); i > 1; i--) {
        snprintf(from, sizeof from, "%s.%d", path, (int)(i - 1));
        snprintf(to, sizeof to, "%s.%d", path, (int)i);
        (void)rename(from, to);
    }
    snprintf(to, sizeof to, "%s.1", path);
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    /* A flood is not kept: it would fill the disk and hold us up while it is copied. */
    off_t keep = (off_t)cfg_int(&s->cfg, "logging.file.maxSize") * FLOOD_FACTOR;
    bool flood = st.st_size > keep;
    bool ok = fd >= 0 && copy_all(s->log_fd, fd, flood ? keep : st.st_size) && ftruncate(s->log_fd, 0) == 0;
    if (ok && flood) {
        log_warn("a worker floods the log: %lld MB within a second, only the first %lld MB were kept",
                 (long long)st.st_size / 1000000, (long long)keep / 1000000);
    }
    if (!ok) {
        log_warn("the log file could not be set aside: %s", strerror(errno));
    }
    fd_close(&fd);
}
