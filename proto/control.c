/*
 * control.c: packets of the control channel between supervisor and worker.
 * Runs in: supervisor and every worker.     Owns: nothing.
 * Never: blocks; passes on a packet it has not checked; leaks a descriptor that somebody attached.
 * Tested in: tests/unit/proto/test_control.c; fuzzed by tests/fuzz/fuzz_control.c
 */
#include "proto/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/err.h"

/* More descriptors than one are never sent; room for some, so that surplus ones arrive and are closed. */
#define FDS_ROOM 8

static const struct {
    uint16_t num;
    const char *name;
} rows[] = {
#define CTL(num, NAME, dir, doc) {(num), #NAME},
#include "proto/control.def"
#undef CTL
};

const char *ctl_name(uint16_t type)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].num == type) {
            return rows[i].name;
        }
    }
    return "?";
}

int ctl_send(int fd, const struct ctl_packet *p, int fd_pass)
{
    /* Field by field into zeroed memory: padding and what stands behind the strings' ends stay at home. */
    struct ctl_packet out;
    memset(&out, 0, sizeof out);
    out.type = p->type;
    out.pid = p->pid;
    out.num = p->num;
    memcpy(out.name, p->name, strnlen(p->name, sizeof out.name - 1));
    memcpy(out.text, p->text, strnlen(p->text, sizeof out.text - 1));

    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } aux;
    struct iovec iov = {&out, sizeof out};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd_pass >= 0) {
        memset(&aux, 0, sizeof aux);
        m.msg_control = aux.bytes;
        m.msg_controllen = sizeof aux.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd_pass, sizeof(int));
    }
    ssize_t n;
    do {
        n = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof out) {
        return OK;
    }
    if (n >= 0) {
        return ERR_IO;
    }
    if (errno == EAGAIN || errno == ENOBUFS) {
        return ERR_BUSY;
    }
    return errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN ? ERR_CLOSED : ERR_IO;
}

/* Takes the first attached descriptor, closes all others. */
static int take_fd(struct msghdr *m)
{
    int got = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(0)) {
            continue;
        }
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int one;
            memcpy(&one, CMSG_DATA(c) + i * sizeof(int), sizeof one);
            if (got < 0) {
                got = one;
            } else {
                (void)close(one);
            }
        }
    }
    return got;
}

static bool well_formed(const struct ctl_packet *p, ssize_t n, int flags)
{
    return n == (ssize_t)sizeof *p && (flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
           memchr(p->name, 0, sizeof p->name) != NULL && memchr(p->text, 0, sizeof p->text) != NULL &&
           strcmp(ctl_name(p->type), "?") != 0;
}

int ctl_recv(int fd, struct ctl_packet *p, int *fd_got)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * FDS_ROOM)];
        struct cmsghdr align;
    } aux;
    *fd_got = -1;
    memset(p, 0, sizeof *p);
    struct iovec iov = {p, sizeof *p};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = aux.bytes,
                       .msg_controllen = sizeof aux.bytes};
    ssize_t n;
    do {
        n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno == EAGAIN) {
            return ERR_UNAVAILABLE;
        }
        return errno == ECONNRESET || errno == ENOTCONN ? ERR_CLOSED : ERR_IO;
    }
    int got = take_fd(&m);
    if (n == 0 && got < 0) {
        return ERR_CLOSED;
    }
    if (!well_formed(p, n, m.msg_flags)) {
        if (got >= 0) {
            (void)close(got);
        }
        memset(p, 0, sizeof *p);
        return ERR_PARSE;
    }
    *fd_got = got;
    return OK;
}
