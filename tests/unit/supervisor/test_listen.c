/*
 * test_listen.c: where listening sockets come from, and that the service manager's store gets and gives them back.
 * Runs in: unit tests.     Owns: a datagram socket that plays the service manager.
 * Never: opens a port other than one the kernel chose.
 * Tested in: itself.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/err.h"
#include "common/file.h"
#include "supervisor/sup.h"

static struct sup s;
static char dir[] = "/tmp/tenaza-listen-XXXXXX";
static int manager;

/* What the manager was told last: its text, and the descriptor that came along (-1: none). */
static char told[512];

static int hear(void)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } aux;
    struct iovec iov = {told, sizeof told - 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = aux.bytes, .msg_controllen = sizeof aux.bytes};
    int fd = -1;
    ssize_t n = recvmsg(manager, &m, MSG_DONTWAIT);

    told[n > 0 ? n : 0] = '\0';
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (c != NULL && c->cmsg_type == SCM_RIGHTS) {
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    }
    return fd;
}

static int setup(void **state)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(a.sun_path, sizeof a.sun_path, "%s/notify", dir);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(manager, (struct sockaddr *)&a, sizeof a), 0);
    setenv("NOTIFY_SOCKET", a.sun_path, 1);
    return 0;
}

static int teardown(void **state)
{
    char path[64];
    (void)state;
    close(manager);
    snprintf(path, sizeof path, "%s/notify", dir);
    unlink(path);
    rmdir(dir);
    return 0;
}

static void configure(struct cfg *c, const char *const *bind_to, size_t n, int port)
{
    cfg_init(c);
    cfg_put(c, "edge.bind", &(struct cfg_raw){.kind = RAW_LIST, .list = bind_to, .list_n = n}, "test");
    cfg_put(c, "edge.port", &(struct cfg_raw){.kind = RAW_INT, .i = port}, "test");
}

static int port_of(int fd)
{
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    return ntohs(a.sin_port);
}

static void own_sockets_go_into_the_store(void **state)
{
    const char *const two[] = {"loopback", "127.0.0.1", "127.0.0.2"};
    (void)state;
    configure(&s.cfg, two, 3, 0);
    listen_open(&s);
    /* loopback and 127.0.0.1 are the same. */
    assert_int_equal(s.listen.n, 2);
    assert_string_equal(s.listen.v[0].name, "edge_127.0.0.1_0");
    assert_string_equal(s.listen.v[1].name, "edge_127.0.0.2_0");
    assert_non_null(strstr(s.url, "http://127.0.0.1:"));
    for (size_t i = 0; i < 2; i++) {
        int fd = hear();
        assert_non_null(strstr(told, "FDSTORE=1\nFDNAME=edge_127.0.0."));
        assert_true(fd >= 0);
        assert_int_equal(port_of(fd), port_of(s.listen.v[i].fd));
        close(fd);
    }
}

static void a_reload_keeps_what_it_can(void **state)
{
    const char *const other[] = {"127.0.0.2", "127.0.0.3"};
    struct cfg c;
    struct listen_set next;
    struct listen_error err = {0};
    int kept = s.listen.v[1].fd;

    (void)state;
    configure(&c, other, 2, 0);
    assert_int_equal(listen_prepare(&s, &c, &next, &err), 0);
    assert_int_equal(next.v[0].fd, kept);
    assert_int_equal(s.listen.n, 2); /* still the old ones */
    listen_take(&s, &next);
    hear();
    assert_string_equal(told, "FDSTOREREMOVE=1\nFDNAME=edge_127.0.0.1_0");
    int fd = hear();
    assert_non_null(strstr(told, "FDNAME=edge_127.0.0.3_0"));
    close(fd);
    cfg_free(&c);
}

static void a_taken_port_changes_nothing(void **state)
{
    const char *const same[] = {"127.0.0.2", "127.0.0.1"};
    struct cfg c;
    struct listen_set next;
    struct listen_error err = {0};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(bind(taken, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(taken, 1), 0);
    configure(&c, same, 2, port_of(taken));
    assert_int_equal(listen_prepare(&s, &c, &next, &err), ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "another program listens there"));
    assert_int_equal(next.n, 0);
    assert_true(port_of(s.listen.v[0].fd) > 0);
    cfg_free(&c);
    close(taken);
}

/* Starts over with descriptors of the manager: `fd` comes as number 3 under this name. */
static void start_with(int fd, const char *name)
{
    char pid[24];
    assert_int_equal(dup2(fd, 3), 3);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_FDNAMES", name, 1);
    s.listen.n = 0;
    listen_open(&s);
}

static void a_stored_socket_comes_back(void **state)
{
    const char *const one[] = {"127.0.0.2"};
    int fd = fcntl(s.listen.v[0].fd, F_DUPFD_CLOEXEC, 50);
    int port = port_of(fd);

    (void)state;
    listen_close(&s);
    cfg_free(&s.cfg);
    configure(&s.cfg, one, 1, 0);
    start_with(fd, "edge_127.0.0.2_0");
    assert_int_equal(s.listen.n, 1);
    assert_int_equal(s.listen.v[0].fd, 3);
    assert_false(s.listen.v[0].managed);
    assert_int_equal(port_of(3), port);
    close(fd);
}

static void a_socket_unit_decides_the_address(void **state)
{
    const char *const other[] = {"127.0.0.9"};
    struct listen_set next;
    struct listen_error err = {0};
    int fd = fcntl(s.listen.v[0].fd, F_DUPFD_CLOEXEC, 50);
    int port = port_of(fd);

    (void)state;
    listen_close(&s);
    cfg_free(&s.cfg);
    configure(&s.cfg, other, 1, 0);
    start_with(fd, "edge");
    assert_int_equal(s.listen.n, 1);
    assert_true(s.listen.v[0].managed);
    assert_int_equal(port_of(s.listen.v[0].fd), port);
    /* It stays so over a reload. */
    assert_int_equal(listen_prepare(&s, &s.cfg, &next, &err), 0);
    assert_int_equal(next.v[0].fd, s.listen.v[0].fd);
    listen_close(&s);
    cfg_free(&s.cfg);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_sockets_go_into_the_store), cmocka_unit_test(a_reload_keeps_what_it_can),
        cmocka_unit_test(a_taken_port_changes_nothing),  cmocka_unit_test(a_stored_socket_comes_back),
        cmocka_unit_test(a_socket_unit_decides_the_address),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
