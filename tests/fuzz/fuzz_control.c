/*
 * fuzz_control.c: packets of the control channel.
 * Runs in: libFuzzer (clang, -Dfuzz=true).     Owns: a socketpair.
 * Never: opens files.
 * Tested in: itself; seeds in tests/fuzz/seeds/control: one packet as it stands on the socket
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "common/err.h"
#include "proto/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int pair[2] = {-1, -1};
    if (pair[0] < 0) {
        ASSERT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) == 0);
    }
    if (size == 0 || size > 4096 || send(pair[0], data, size, 0) != (ssize_t)size) {
        return 0;
    }
    struct ctl_packet p, q;
    int fd, rc = ctl_recv(pair[1], &p, &fd);
    ASSERT(fd == -1 && (rc == OK || rc == ERR_PARSE));
    if (rc == OK) {
        ASSERT(strcmp(ctl_name(p.type), "?") != 0 && strlen(p.name) < sizeof p.name);
        ASSERT(ctl_send(pair[0], &p, -1) == OK);
        ASSERT(ctl_recv(pair[1], &q, &fd) == OK);
        ASSERT(q.type == p.type && q.num == p.num && q.pid == p.pid);
        ASSERT(strcmp(q.name, p.name) == 0 && strcmp(q.text, p.text) == 0);
    }
    return 0;
}
