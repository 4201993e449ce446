/*
 * test_control.c: packets of the control channel, with and without a descriptor.
 * Runs in: tests.     Owns: a socketpair.
 * Never: blocks.
 * Tested in: itself
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "proto/control.h"

static int pair[2];

static int setup(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
    (void)state;
    (void)close(pair[0]);
    (void)close(pair[1]);
    return 0;
}

static size_t open_fds(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d)) {
        n++;
    }
    (void)closedir(d);
    return n;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct ctl_packet p = {.type = CTL_PEER_UP, .pid = 4711, .num = UINT64_MAX}, q;
    int fd;
    memcpy(p.name, "irc/default", 12);
    memcpy(p.text, "text", 5);
    assert_int_equal(ctl_recv(pair[1], &q, &fd), ERR_UNAVAILABLE);
    assert_int_equal(ctl_send(pair[0], &p, -1), OK);
    assert_int_equal(ctl_recv(pair[1], &q, &fd), OK);
    assert_int_equal(fd, -1);
    assert_int_equal(q.type, CTL_PEER_UP);
    assert_int_equal(q.pid, 4711);
    assert_true(q.num == UINT64_MAX);
    assert_string_equal(q.name, "irc/default");
    assert_string_equal(q.text, "text");
}

static void test_unterminated_text_is_cut(void **state)
{
    (void)state;
    struct ctl_packet p = {.type = CTL_STATUS}, q;
    int fd;
    memset(p.text, 'x', sizeof p.text);
    assert_int_equal(ctl_send(pair[0], &p, -1), OK);
    assert_int_equal(ctl_recv(pair[1], &q, &fd), OK);
    assert_int_equal(strlen(q.text), sizeof q.text - 1);
}

static void test_bytes_behind_the_text_stay_home(void **state)
{
    (void)state;
    struct ctl_packet p;
    unsigned char raw[sizeof p + 1];
    memset(&p, 'S', sizeof p);
    p.type = CTL_STATUS;
    memcpy(p.name, "n", 2);
    memcpy(p.text, "t", 2);
    assert_int_equal(ctl_send(pair[0], &p, -1), OK);
    assert_int_equal(recv(pair[1], raw, sizeof raw, 0), (int)sizeof p);
    size_t secrets = 0;
    for (size_t i = offsetof(struct ctl_packet, name); i < sizeof p; i++) {
        secrets += raw[i] == 'S';
    }
    assert_int_equal(secrets, 0);
}

static void test_descriptor(void **state)
{
    (void)state;
    struct ctl_packet p = {.type = CTL_CONFIG}, q;
    int pipefd[2], fd;
    char c = 0;
    assert_int_equal(pipe(pipefd), 0);
    assert_int_equal(ctl_send(pair[0], &p, pipefd[1]), OK);
    assert_int_equal(ctl_recv(pair[1], &q, &fd), OK);
    assert_true(fd >= 0 && fd != pipefd[1]);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(fd, "!", 1), 1);
    assert_int_equal(read(pipefd[0], &c, 1), 1);
    assert_int_equal(c, '!');
    (void)close(fd);
    (void)close(pipefd[0]);
    (void)close(pipefd[1]);
}

/* Sends raw bytes with n copies of a descriptor. */
static void send_raw(const void *bytes, size_t len, size_t n, int passed)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * 16)];
        struct cmsghdr align;
    } aux;
    struct iovec iov = {(void *)(uintptr_t)bytes, len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (n > 0) {
        int fds[16];
        memset(&aux, 0, sizeof aux);
        for (size_t i = 0; i < n; i++) {
            fds[i] = passed;
        }
        m.msg_control = aux.bytes;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * n);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
    }
    assert_int_equal(sendmsg(pair[0], &m, 0), (int)len);
}

static void test_malformed_packets_leak_nothing(void **state)
{
    (void)state;
    struct ctl_packet good = {.type = CTL_BEAT}, q;
    char raw[sizeof good + 8] = {0};
    int fd;
    size_t before = open_fds();

    send_raw("x", 1, 1, STDERR_FILENO); /* too short, with a descriptor */
    assert_int_equal(ctl_recv(pair[1], &q, &fd), ERR_PARSE);
    assert_int_equal(fd, -1);
    memcpy(raw, &good, sizeof good);
    send_raw(raw, sizeof raw, 2, STDERR_FILENO); /* too long */
    assert_int_equal(ctl_recv(pair[1], &q, &fd), ERR_PARSE);
    struct ctl_packet bad = {.type = 999};
    send_raw(&bad, sizeof bad, 0, -1); /* unknown type */
    assert_int_equal(ctl_recv(pair[1], &q, &fd), ERR_PARSE);
    bad = good;
    memset(bad.name, 'n', sizeof bad.name); /* no end */
    send_raw(&bad, sizeof bad, 1, STDERR_FILENO);
    assert_int_equal(ctl_recv(pair[1], &q, &fd), ERR_PARSE);
    send_raw(&good, sizeof good, 12, STDERR_FILENO); /* more descriptors than there is room for */
    assert_int_equal(ctl_recv(pair[1], &q, &fd), ERR_PARSE);
    assert_int_equal(open_fds(), before);

    send_raw(&good, sizeof good, 3, STDERR_FILENO); /* the first is taken, the others are closed */
    assert_int_equal(ctl_recv(pair[1], &q, &fd), OK);
    assert_int_equal(open_fds(), before + 1);
    (void)close(fd);
}

static void test_full_and_closed(void **state)
{
    (void)state;
    struct ctl_packet p = {.type = CTL_BEAT}, q;
    int fd, rc = OK, sent = 0;
    while (rc == OK && sent < 100000) {
        rc = ctl_send(pair[0], &p, -1);
        sent += rc == OK;
    }
    assert_int_equal(rc, ERR_BUSY);
    (void)close(pair[0]);
    for (int i = 0; i < sent; i++) {
        assert_int_equal(ctl_recv(pair[1], &q, &fd), OK);
    }
    assert_int_equal(ctl_recv(pair[1], &q, &fd), ERR_CLOSED);
    assert_int_equal(ctl_send(pair[1], &p, -1), ERR_CLOSED);
    pair[0] = dup(pair[1]); /* for teardown */
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(ctl_name(CTL_HELLO), "HELLO");
    assert_string_equal(ctl_name(CTL_CONFIG), "CONFIG");
    assert_string_equal(ctl_name(0), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unterminated_text_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes_behind_the_text_stay_home, setup, teardown),
        cmocka_unit_test_setup_teardown(test_descriptor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed_packets_leak_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_and_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
