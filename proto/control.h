/*
 * control.h: packets of the control channel between supervisor and worker (fd 3, SOCK_SEQPACKET).
 * Runs in: supervisor and every worker.     Owns: nothing.
 * Never: carries data of users; wraps a packet over two sends.
 * Tested in: tests/unit/proto/test_control.c; fuzzed by tests/fuzz/fuzz_control.c
 */
#ifndef TENAZA_PROTO_CONTROL_H
#define TENAZA_PROTO_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "common/attrs.h"

enum ctl_type {
#define CTL(num, NAME, dir, doc) CTL_##NAME = (num),
#include "proto/control.def"
#undef CTL
};

/* Descriptors a worker inherits. */
enum {
    CTL_FD = 3,    /* this channel */
    CONF_FD = 4,   /* sealed memfd with the config section (common/conf.h) */
    LOG_FD = 5,    /* log file, append only */
    REC_FD = 6,    /* flight recorder (common/recorder.h) */
    CONSOLE_FD = 7, /* where log lines for people go; stdout and stderr are a pipe to the supervisor */
    LISTEN_FD = 8, /* first listening socket; how many: config item listen.count */
};

struct ctl_packet {
    uint16_t type;
    int32_t pid;
    uint64_t num;
    char name[128];
    char text[512];
};

/* Both never block. fd_pass: descriptor to attach, -1 for none. ERR_BUSY: the socket is full. */
int ctl_send(int fd, const struct ctl_packet *p, int fd_pass) ATTR_NODISCARD;
/* OK; ERR_CLOSED: the other side is gone; ERR_UNAVAILABLE: nothing there now; ERR_PARSE: malformed.
 * *fd_got: attached descriptor (caller closes) or -1. */
int ctl_recv(int fd, struct ctl_packet *p, int *fd_got) ATTR_NODISCARD;
const char *ctl_name(uint16_t type);
/* "0.1.0+3f9c...": the version and a mark over what supervisor and workers must agree on; the text of HELLO. */
extern const char ctl_build_id[];

#endif
