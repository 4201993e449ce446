/*
 * test_listen_filter.c: a socket accepted from a filtered listener serves its client and cannot be connected anew.
 * Runs in: unit tests.     Owns: sockets on loopback.
 * Never: waits without a limit.
 * Tested in: itself.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "supervisor/listen_filter.h"

static struct sockaddr_in any_port(void)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listener(struct sockaddr_in *at)
{
    socklen_t n = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *at = any_port();
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof *at), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)at, &n), 0);
    return fd;
}

static int client_of(const struct sockaddr_in *at)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)at, sizeof *at), 0);
    return fd;
}

/* Dissolves an accepted socket and connects it to `to`; true: the connection stands within two seconds. */
static bool turn_round(int accepted, const struct sockaddr_in *to)
{
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    struct pollfd p = {.fd = accepted, .events = POLLOUT};
    int error = 0;
    socklen_t n = sizeof error;

    assert_int_equal(connect(accepted, &none, sizeof none), 0);
    int rc = connect(accepted, (const struct sockaddr *)to, sizeof *to);
    if (rc == 0) {
        return true;
    }
    assert_int_equal(errno, EINPROGRESS);
    return poll(&p, 1, 2000) > 0 && getsockopt(accepted, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && error == 0;
}

static bool try_it(bool filtered)
{
    struct sockaddr_in front, victim;
    int l = listener(&front), other = listener(&victim);
    char text[8] = "";

    if (filtered) {
        assert_int_equal(listen_filter(l), 0);
        assert_int_equal(listen_filter(l), 0); /* a second time changes nothing */
        assert_int_not_equal(setsockopt(l, SOL_SOCKET, SO_DETACH_FILTER, &(int){0}, sizeof(int)), 0);
    }
    int c = client_of(&front);
    int a = accept4(l, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(a >= 0);
    /* It serves its client in both directions. */
    assert_int_equal(write(c, "ping", 5), 5);
    struct pollfd p = {.fd = a, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_int_equal(read(a, text, sizeof text), 5);
    assert_string_equal(text, "ping");
    assert_int_equal(write(a, "pong", 5), 5);
    assert_int_equal(read(c, text, sizeof text), 5);
    bool out = turn_round(a, &victim);
    close(a);
    close(c);
    close(l);
    close(other);
    return out;
}

static void without_the_filter_it_can_be_turned_round(void **state)
{
    (void)state;
    assert_true(try_it(false));
}

static void with_the_filter_it_cannot(void **state)
{
    (void)state;
    assert_false(try_it(true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_filter_it_can_be_turned_round),
        cmocka_unit_test(with_the_filter_it_cannot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
