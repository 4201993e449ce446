/*
 * doctor_files.c: checks of the configuration, of secrets, of directories and of room on the disk.
 * Runs in: command line.     Owns: nothing.
 * Never: prints a secret.
 * Tested in: tests/scn/s3-doctor.test.mjs
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "supervisor/cli/doctor.h"

/* Below the first the database may stop at any moment; below the second somebody should know. */
#define ROOM_BAD ((uint64_t)100 << 20)
#define ROOM_WARN ((uint64_t)1 << 30)

static sv first_line(const struct buf *b)
{
    sv rest = buf_view(b);

    return sv_trim(sv_cut(&rest, '\n'));
}

void doctor_config(struct doctor *d)
{
    if (d->file[0] == '\0') {
        doctor_say(d, DOCTOR_OK, NULL, "none; everything has a default");
        return;
    }
    if (d->cfg.error_n == 0) {
        cfg_check(&d->cfg);
    }
    if (d->cfg.error_n > 0) {
        doctor_say(d, DOCTOR_BAD, "tenaza config check", "%u error%s in %s, the first: %.*s", d->cfg.error_n,
                   d->cfg.error_n == 1 ? "" : "s", d->file, SV_ARG(first_line(&d->cfg.errors)));
        return;
    }
    doctor_say(d, DOCTOR_OK, NULL, "%s", d->file);
}

static void check_mode(struct doctor *d, const char *what, const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0 || !(st.st_mode & S_IRWXO)) {
        return;
    }
    char *fix = xasprintf("chmod 600 %s", path);
    doctor_say(d, DOCTOR_BAD, fix, "%s in %s, which everybody on this machine can read", what, path);
    xfree(fix);
}

/* A secret in clear: the file it stands in must be closed. origin is "file:line". */
static void check_clear(struct doctor *d, const struct cfg_value *v)
{
    sv origin = sv_of(v->origin);
    ptrdiff_t colon = -1;
    char path[PATH_MAX];

    for (size_t i = 0; i < origin.n; i++) {
        colon = origin.p[i] == ':' ? (ptrdiff_t)i : colon;
    }
    if (colon > 0 && sv_copy(path, sizeof path, sv_sub(origin, 0, (size_t)colon))) {
        check_mode(d, v->path, path);
    }
}

void doctor_secrets(struct doctor *d)
{
    size_t references = 0, clear = 0;

    for (size_t i = 0; i < d->cfg.n; i++) {
        const struct cfg_value *v = &d->cfg.v[i];
        if (v->row == NULL || v->row->type != CT_SECRET) {
            continue;
        }
        bool file = strncmp(v->s, "file:", 5) == 0;
        bool reference = file || strncmp(v->s, "env:", 4) == 0 || strncmp(v->s, "cred:", 5) == 0;
        references += reference;
        clear += !reference;
        if (file && access(v->s + 5, R_OK) != 0) {
            doctor_say(d, DOCTOR_BAD, "put the secret there, readable for the user of the gateway alone", "%s: %s cannot be read: %s", v->path,
                       v->s + 5, strerror(errno));
        } else if (file) {
            check_mode(d, v->path, v->s + 5);
        } else if (!reference) {
            check_clear(d, v);
        }
    }
    char *token = xasprintf("%s/gateway.token", d->cli->state);
    check_mode(d, "the token of the clients", token);
    xfree(token);
    doctor_say(d, DOCTOR_OK, NULL, "%zu by reference, %zu in the configuration itself", references, clear);
}

void doctor_permissions(struct doctor *d)
{
    const char *dir = d->cli->state;
    struct stat st;

    if (stat(dir, &st) != 0) {
        doctor_say(d, errno == ENOENT ? DOCTOR_OK : DOCTOR_BAD, NULL, "state directory %s: %s", dir,
                   errno == ENOENT ? "made at the first start" : strerror(errno));
        return;
    }
    if (st.st_mode & (S_IWGRP | S_IWOTH)) {
        char *fix = xasprintf("chmod go-w %s", dir);
        doctor_say(d, DOCTOR_BAD, fix, "others can write to the state directory %s", dir);
        xfree(fix);
    } else if (st.st_uid != geteuid() && geteuid() != 0) {
        doctor_say(d, DOCTOR_WARN, "run this as that user or as root", "the state directory %s belongs to user %u", dir, (unsigned)st.st_uid);
    } else if (geteuid() == 0 && st.st_uid != 0 && d->status == NULL) {
        doctor_say(d, DOCTOR_WARN, "start it as that user, or through the service", "the state directory %s belongs to user %u: a start as root would mix owners", dir,
                   (unsigned)st.st_uid);
    }
    doctor_say(d, DOCTOR_OK, NULL, "%s, mode %o", dir, (unsigned)st.st_mode & 07777u);
}

void doctor_disk(struct doctor *d)
{
    const char *dir = access(d->cli->state, F_OK) == 0 ? d->cli->state : "/";
    struct statvfs fs;

    if (statvfs(dir, &fs) != 0) {
        doctor_say(d, DOCTOR_BAD, NULL, "%s: %s", dir, strerror(errno));
        return;
    }
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    enum doctor_state state = room < ROOM_BAD ? DOCTOR_BAD : room < ROOM_WARN ? DOCTOR_WARN : DOCTOR_OK;
    doctor_say(d, state, state == DOCTOR_OK ? NULL : "make room, or move the state directory (supervisor.stateDir)", "%.1f GB free on %s",
               (double)room / 1e9, dir);
}
