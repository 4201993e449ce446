/*
 * listen_filter.c: a socket that was accepted can never be turned round: whatever accepts on a listening socket with
 *                  this filter cannot use what it accepted to connect somewhere else.
 * Runs in: supervisor.     Owns: nothing.
 * Never: touches a connection that a client opened.
 * Tested in: tests/unit/supervisor/test_listen_filter.c
 *
 * The edge may make no internet socket, but it holds accepted ones, and connect(AF_UNSPEC) dissolves such a socket, so
 * that it could be connected anew. Landlock forbids that from Linux 6.7 on. This filter does it on every kernel:
 * accepted sockets inherit it from the listening one, it cannot be taken off (SO_LOCK_FILTER), and it drops the packet
 * that every outgoing connection waits for, SYN together with ACK. A listening socket never receives one.
 */
#include <errno.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include "supervisor/listen_filter.h"

/* Byte 13 of the TCP header; the filter of a TCP socket sees the packet from that header on. */
#define TCP_FLAGS 13
#define SYN_ACK 0x12

int listen_filter(int fd)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN_ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN_ACK, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    };
    const struct sock_fprog program = {sizeof code / sizeof code[0], code};
    const int on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) != 0) {
        /* EPERM: locked already, by an earlier supervisor that handed it over. */
        return errno == EPERM ? 0 : -errno;
    }
    return 0;
}
