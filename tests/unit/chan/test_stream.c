/*
 * test_stream.c: connections in plain TCP and TLS against a server in a child process.
 * Runs in: unit tests.     Owns: its child processes and ports of the loopback.
 * Never: leaves a child behind.
 * Tested in: itself.
 */
#include "tests/unit/chan/tests.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workers/chan/stream.h"

enum server_kind { ECHO_PLAIN, ECHO_TLS, CLOSES_AT_ONCE, SAYS_NOTHING };

struct server {
    pid_t pid;
    uint16_t port;
};

/* A self-signed certificate for "localhost", made for this run. */
static SSL_CTX *server_ctx(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_sign(cert, key, EVP_sha256());
    SSL_CTX_use_certificate(ctx, cert);
    SSL_CTX_use_PrivateKey(ctx, key);
    X509_free(cert);
    EVP_PKEY_free(key);
    return ctx;
}

static void echo_tls(int fd)
{
    SSL_CTX *ctx = server_ctx();
    SSL *ssl = SSL_new(ctx);
    char b[4096];
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        for (int n = SSL_read(ssl, b, sizeof b); n > 0; n = SSL_read(ssl, b, sizeof b)) {
            if (SSL_write(ssl, b, n) != n) {
                break;
            }
        }
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

static void serve(int listener, enum server_kind kind)
{
    char b[4096];
    int fd = accept(listener, NULL, NULL);
    if (kind == ECHO_TLS) {
        echo_tls(fd);
    } else if (kind == SAYS_NOTHING) {
        pause();
    } else if (kind == ECHO_PLAIN) {
        for (ssize_t n = read(fd, b, sizeof b); n > 0; n = read(fd, b, sizeof b)) {
            if (write(fd, b, (size_t)n) != n) {
                break;
            }
        }
    }
    _exit(0);
}

static struct server start(enum server_kind kind)
{
    struct server s = {0};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    s.port = ntohs(a.sin_port);
    s.pid = fork();
    assert_true(s.pid >= 0);
    if (s.pid == 0) {
        alarm(20);
        serve(fd, kind);
    }
    close(fd);
    return s;
}

static void end(struct server *s)
{
    kill(s->pid, SIGKILL);
    assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
}

struct run {
    struct loop *l;
    struct stream *s;
    struct loop_timer guard;
    size_t send, got; /* bytes to send once up, bytes that came back */
    bool up, down, trust;
    char why[256];
};

static void on_up(void *ctx)
{
    struct run *r = (struct run *)ctx;
    r->up = true;
    if (r->send == 0) {
        loop_stop(r->l);
        return;
    }
    char block[1000];
    memset(block, 'x', sizeof block);
    for (size_t i = 0; i < r->send / sizeof block; i++) {
        assert_int_equal(stream_write(r->s, sv_mem(block, sizeof block)), OK);
    }
    assert_int_equal(stream_queued(r->s), r->send);
}

static void on_data(void *ctx, sv bytes)
{
    struct run *r = (struct run *)ctx;
    r->got += bytes.n;
    if (r->got == r->send) {
        loop_stop(r->l);
    }
}

static void on_down(void *ctx, const char *why, bool trust)
{
    struct run *r = (struct run *)ctx;
    r->down = true;
    r->trust = trust;
    assert_true(sv_copy(r->why, sizeof r->why, sv_of(why)));
    loop_stop(r->l);
}

static void on_guard(void *ctx)
{
    const struct run *r = (const struct run *)ctx;
    fail_msg("nothing happened for 10 s: %zu of %zu bytes came back", r->got, r->send);
}

static struct run go(const char *host, uint16_t port, bool tls, bool verify, int64_t connect_ms, size_t bytes)
{
    static const struct stream_ops ops = {on_up, on_data, on_down};
    struct stream_opts o = {.host = host, .port = port, .tls = tls, .verify = verify, .connect_ms = connect_ms};
    struct run r = {.l = loop_new(), .send = bytes};
    loop_timer_init(&r.guard, r.l, on_guard, &r);
    loop_timer_start(&r.guard, 10000);
    r.s = stream_open(r.l, &o, &ops, &r);
    assert_int_equal(stream_write(r.s, SV("too early")), ERR_CLOSED);
    loop_run(r.l);
    if (r.up && !r.down) {
        assert_int_equal(stream_left(r.s), r.send);
    }
    loop_timer_stop(&r.guard);
    stream_free(r.s);
    loop_free(r.l);
    return r;
}

static void test_plain_echo(void **state)
{
    UNUSED(state);
    struct server s = start(ECHO_PLAIN);
    struct run r = go("127.0.0.1", s.port, false, true, 5000, 60000);
    assert_true(r.up && !r.down);
    assert_int_equal(r.got, 60000);
    end(&s);
}

static void test_name_is_looked_up(void **state)
{
    UNUSED(state);
    struct server s = start(ECHO_PLAIN);
    struct run r = go("localhost", s.port, false, true, 5000, 1000);
    assert_true(r.up && r.got == 1000);
    end(&s);
}

static void test_tls_without_verification(void **state)
{
    UNUSED(state);
    struct server s = start(ECHO_TLS);
    struct run r = go("localhost", s.port, true, false, 5000, 60000);
    assert_string_equal(r.why, "");
    assert_true(r.up && !r.down);
    assert_int_equal(r.got, 60000);
    end(&s);
}

static void test_unknown_certificate_is_refused(void **state)
{
    UNUSED(state);
    struct server s = start(ECHO_TLS);
    struct run r = go("localhost", s.port, true, true, 5000, 1000);
    assert_true(!r.up && r.down && r.trust);
    assert_non_null(strstr(r.why, "certificate"));
    end(&s);
}

static void test_plain_server_is_no_tls_server(void **state)
{
    UNUSED(state);
    struct server s = start(ECHO_PLAIN);
    struct run r = go("127.0.0.1", s.port, true, true, 5000, 1000);
    assert_true(!r.up && r.down && !r.trust);
    end(&s);
}

static void test_handshake_has_a_deadline(void **state)
{
    UNUSED(state);
    struct server s = start(SAYS_NOTHING);
    struct run r = go("127.0.0.1", s.port, true, true, 300, 1000);
    assert_true(!r.up && r.down && !r.trust);
    assert_string_equal(r.why, "the TLS handshake took too long");
    end(&s);
}

static void test_refused_and_closed(void **state)
{
    UNUSED(state);
    struct server s = start(SAYS_NOTHING);
    end(&s);
    struct run r = go("127.0.0.1", s.port, false, true, 5000, 1000); /* nobody listens there any more */
    assert_true(!r.up && r.down);
    assert_string_equal(r.why, "Connection refused");
    s = start(CLOSES_AT_ONCE);
    r = go("127.0.0.1", s.port, false, true, 5000, 1000);
    assert_true(r.down);
    end(&s);
}

static void test_no_such_host(void **state)
{
    UNUSED(state);
    struct run r = go("no-such-host.invalid", 1, false, true, 3000, 1000);
    assert_true(!r.up && r.down && r.why[0]);
}

static void test_out_queue_has_a_cap(void **state)
{
    UNUSED(state);
    struct server s = start(SAYS_NOTHING);
    struct run r = go("127.0.0.1", s.port, false, true, 5000, 0);
    assert_true(r.up);
    end(&s);
    static char big[STREAM_OUT_MAX + 1];
    static const struct stream_ops ops = {on_up, on_data, on_down};
    s = start(SAYS_NOTHING);
    struct stream_opts o = {.host = "127.0.0.1", .port = s.port, .connect_ms = 5000};
    r = (struct run){.l = loop_new()};
    r.s = stream_open(r.l, &o, &ops, &r);
    loop_run(r.l);
    assert_int_equal(stream_write(r.s, sv_mem(big, sizeof big)), ERR_FULL);
    assert_int_equal(stream_queued(r.s), 0);
    assert_int_equal(stream_write(r.s, sv_mem(big, STREAM_OUT_MAX)), OK);
    assert_int_equal(stream_write(r.s, SV("x")), ERR_FULL);
    stream_free(r.s);
    loop_free(r.l);
    end(&s);
}

int main(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    assert_int_equal(sigaction(SIGPIPE, &ignore, NULL), 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_echo),
        cmocka_unit_test(test_name_is_looked_up),
        cmocka_unit_test(test_tls_without_verification),
        cmocka_unit_test(test_unknown_certificate_is_refused),
        cmocka_unit_test(test_plain_server_is_no_tls_server),
        cmocka_unit_test(test_handshake_has_a_deadline),
        cmocka_unit_test(test_refused_and_closed),
        cmocka_unit_test(test_no_such_host),
        cmocka_unit_test(test_out_queue_has_a_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
