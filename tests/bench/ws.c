/*
 * ws.c: see ws.h. Frames of the server are unmasked and may be fragmented over reads, not over frames.
 * Runs in: tenaza-bench.     Owns: the receive buffer.
 * Never: blocks longer than it was told.
 * Tested in: every bench run
 */
#include "tests/bench/ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"

#define FRAME_MAX (32u * 1024u * 1024u)

static bool fill(struct ws *w, int timeout_ms)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    if (poll(&p, 1, timeout_ms) <= 0) {
        return false;
    }
    char *room = buf_room(&w->in, 65536);
    ssize_t n = room ? recv(w->fd, room, 65536, 0) : -1;
    if (n <= 0) {
        return false;
    }
    w->in.n += (size_t)n;
    return true;
}

static void send_frame(struct ws *w, unsigned opcode, const char *p, size_t n)
{
    struct buf b = BUF_INIT(FRAME_MAX);
    buf_ch(&b, (char)(0x80u | opcode));
    if (n < 126) {
        buf_ch(&b, (char)(0x80u | n));
    } else {
        buf_ch(&b, (char)(0x80u | 126u));
        buf_ch(&b, (char)(n >> 8));
        buf_ch(&b, (char)(n & 255u));
    }
    buf_add(&b, "\0\0\0\0", 4); /* a mask of zeros leaves the bytes as they are */
    buf_add(&b, p, n);
    if (fd_write_all(w->fd, b.p, b.n) != 0) {
        shutdown(w->fd, SHUT_RDWR);
    }
    buf_free(&b);
}

/* One whole frame at the front of the buffer? Gives payload and total length. */
static bool frame_at_front(const struct ws *w, unsigned *opcode, size_t *head, size_t *len)
{
    const unsigned char *p = (const unsigned char *)w->in.p;
    if (w->in.n < 2) {
        return false;
    }
    *opcode = p[0] & 15u;
    *len = p[1] & 127u;
    *head = 2;
    if (*len == 126 && w->in.n >= 4) {
        *len = ((size_t)p[2] << 8) | p[3];
        *head = 4;
    } else if (*len == 127 && w->in.n >= 10) {
        *len = 0;
        for (int i = 2; i < 10; i++) {
            *len = (*len << 8) | p[i];
        }
        *head = 10;
    } else if (*len >= 126) {
        return false;
    }
    return w->in.n >= *head + *len;
}

bool ws_take(struct ws *w, int timeout_ms, sv *frame)
{
    int64_t end = clock_mono_ms() + timeout_ms;
    buf_drop_front(&w->in, w->taken);
    w->taken = 0;
    for (;;) {
        unsigned opcode = 0;
        size_t head = 0, len = 0;
        while (frame_at_front(w, &opcode, &head, &len)) {
            if (opcode == 1 || opcode == 8) {
                *frame = (sv){w->in.p + head, len};
                w->taken = head + len;
                return opcode == 1;
            }
            if (opcode == 9) {
                send_frame(w, 10, w->in.p + head, len);
            }
            buf_drop_front(&w->in, head + len);
        }
        int64_t left = end - clock_mono_ms();
        if (left < 0 || !fill(w, (int)left)) {
            return false;
        }
    }
}

json_t *ws_next(struct ws *w, int timeout_ms)
{
    sv frame;
    return ws_take(w, timeout_ms, &frame) ? json_parse(frame, NULL, 0) : NULL;
}

unsigned ws_request(struct ws *w, const char *method, const char *params)
{
    struct buf b = BUF_INIT(FRAME_MAX);
    unsigned id = ++w->next_id;
    buf_printf(&b, "{\"type\":\"req\",\"id\":\"%u\",\"method\":\"%s\",\"params\":%s}", id, method, params);
    send_frame(w, 1, b.p, b.n);
    buf_free(&b);
    return id;
}

static bool upgrade(struct ws *w, int port)
{
    struct buf b = BUF_INIT(4096);
    buf_printf(&b, "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", port);
    bool ok = fd_write_all(w->fd, b.p, b.n) == 0;
    buf_free(&b);
    ptrdiff_t at = -1;
    while (ok && (at = sv_find(buf_view(&w->in), SV("\r\n\r\n"))) < 0) {
        ok = fill(w, 5000);
    }
    ok = ok && sv_find(buf_view(&w->in), SV(" 101 ")) >= 0;
    if (ok) {
        buf_drop_front(&w->in, (size_t)at + 4);
    }
    return ok;
}

bool ws_connect(struct ws *w, int port, const char *token)
{
    *w = (struct ws){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .in = BUF_INIT(FRAME_MAX)};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    bool ok = connect(w->fd, (struct sockaddr *)&a, sizeof a) == 0 && upgrade(w, port);
    if (ok) {
        json_free(&(json_t *){ws_next(w, 5000)}); /* the challenge */
        struct buf p = BUF_INIT(4096);
        buf_printf(&p, "{\"minProtocol\":4,\"maxProtocol\":4,\"role\":\"operator\",\"client\":{\"id\":\"cli\","
                       "\"version\":\"1\",\"platform\":\"linux\",\"mode\":\"cli\"},\"scopes\":[\"operator.read\","
                       "\"operator.write\"],\"caps\":[],\"auth\":{\"token\":\"%s\"}}", token);
        ws_request(w, "connect", buf_cstr(&p));
        buf_free(&p);
        json_t *hello = ws_next(w, 5000);
        ok = hello && json_flag(hello, "ok", false);
        json_free(&hello);
    }
    if (!ok) {
        ws_close(w);
    }
    return ok;
}

void ws_close(struct ws *w)
{
    fd_close(&w->fd);
    buf_free(&w->in);
}
