/*
 * mpack.c: thin layer over msgpack-c: checks bytes before they are unpacked, reuses one zone.
 * Runs in: every process but the supervisor.     Owns: the zone of the one message being read.
 * Never: lets msgpack-c see a count that the bytes cannot back.
 * Tested in: tests/unit/proto/test_wire.c, test_envelope.c; fuzzed by tests/fuzz/fuzz_wire.c
 */
#include "proto/mpack.h"

#include "common/err.h"

#define ZONE_CHUNK 16384

static msgpack_zone zone;
static bool zone_made, zone_busy;

enum shape { BAD_BYTE, PLAIN, SIZED, ARRAY, MAP };

/* What follows the first byte 0xc0 .. 0xdf: `width` more bytes; for SIZED, ARRAY and MAP they are a count. */
static const struct {
    unsigned char shape, width;
} shapes[32] = {
    {PLAIN, 0},    {BAD_BYTE, 0}, {PLAIN, 0},    {PLAIN, 0},    /* nil, unused, false, true */
    {SIZED, 1},    {SIZED, 2},    {SIZED, 4},    {BAD_BYTE, 0}, /* bin 8 16 32, ext 8 */
    {BAD_BYTE, 0}, {BAD_BYTE, 0}, {PLAIN, 4},    {PLAIN, 8},    /* ext 16 32, float 32 64 */
    {PLAIN, 1},    {PLAIN, 2},    {PLAIN, 4},    {PLAIN, 8},    /* uint */
    {PLAIN, 1},    {PLAIN, 2},    {PLAIN, 4},    {PLAIN, 8},    /* int */
    {BAD_BYTE, 0}, {BAD_BYTE, 0}, {BAD_BYTE, 0}, {BAD_BYTE, 0}, /* fixext 1 2 4 8 */
    {BAD_BYTE, 0}, {SIZED, 1},    {SIZED, 2},    {SIZED, 4},    /* fixext 16, str 8 16 32 */
    {ARRAY, 2},    {ARRAY, 4},    {MAP, 2},      {MAP, 4},      /* array, map */
};

/* One value's head: bytes it takes without the values inside it, and how many those are. */
struct token {
    size_t bytes;
    uint64_t children;
};

static bool token_read(const unsigned char *p, size_t left, struct token *t)
{
    unsigned char c = p[0];
    *t = (struct token){1, 0};
    if (c < 0x80 || c >= 0xe0) {
        return true;
    }
    if (c < 0xc0) {
        if (c >= 0xa0) {
            t->bytes += c & 0x1fu;
        } else {
            t->children = c < 0x90 ? 2u * (c & 0x0fu) : c & 0x0fu;
        }
        return t->bytes <= left;
    }
    enum shape shape = (enum shape)shapes[c - 0xc0].shape;
    size_t width = shapes[c - 0xc0].width;
    if (shape == BAD_BYTE || left < 1 + width) {
        return false;
    }
    t->bytes += width;
    if (shape == PLAIN) {
        return true;
    }
    uint64_t n = 0;
    for (size_t i = 1; i <= width; i++) {
        n = n << 8 | p[i];
    }
    if (shape == SIZED) {
        t->bytes += n;
    } else {
        t->children = shape == MAP ? 2 * n : n;
    }
    return t->bytes <= left;
}

/* Walks the heads only. Proves: whole, one value, no ext types, depth and number of values within limits. */
static int scan(sv in)
{
    const unsigned char *p = (const unsigned char *)in.p;
    uint64_t pending[MPACK_MAX_DEPTH + 1] = {1};
    uint64_t values = 0;
    size_t depth = 0, at = 0;
    for (;;) {
        while (pending[depth] == 0) {
            if (depth == 0) {
                return at == in.n ? OK : ERR_PARSE;
            }
            depth--;
        }
        pending[depth]--;
        struct token t;
        if (at >= in.n || !token_read(p + at, in.n - at, &t)) {
            return ERR_PARSE;
        }
        at += t.bytes;
        if (t.children > 0) {
            values += t.children;
            if (t.children > in.n - at || depth == MPACK_MAX_DEPTH) {
                return ERR_PARSE;
            }
            if (values > MPACK_MAX_VALUES) {
                return ERR_TOOBIG;
            }
            pending[++depth] = t.children;
        }
    }
}

int mpack_parse(sv bytes, msgpack_object *out)
{
    ASSERT(!zone_busy);
    if (bytes.n > MPACK_MAX_BYTES) {
        return ERR_TOOBIG;
    }
    int err = scan(bytes);
    if (err != OK) {
        return err;
    }
    if (!zone_made) {
        if (!msgpack_zone_init(&zone, ZONE_CHUNK)) {
            die(EXIT_TEMPFAIL, "out of memory");
        }
        zone_made = true;
    }
    size_t off = 0;
    if (msgpack_unpack(bytes.p, bytes.n, &off, &zone, out) != MSGPACK_UNPACK_SUCCESS) {
        msgpack_zone_clear(&zone);
        return ERR_PARSE;
    }
    zone_busy = true;
    return OK;
}

void mpack_done(void)
{
    msgpack_zone_clear(&zone);
    zone_busy = false;
}

static int append(void *b, const char *p, size_t n)
{
    return buf_add(b, p, n) ? 0 : -1;
}

void mpack_packer(msgpack_packer *pk, struct buf *b)
{
    msgpack_packer_init(pk, b, append);
}

void mpack_str(msgpack_packer *pk, sv s)
{
    (void)msgpack_pack_str(pk, s.n);
    if (s.n > 0) {
        (void)msgpack_pack_str_body(pk, s.p, s.n);
    }
}

void mpack_bin(msgpack_packer *pk, sv s)
{
    (void)msgpack_pack_bin(pk, s.n);
    if (s.n > 0) {
        (void)msgpack_pack_bin_body(pk, s.p, s.n);
    }
}
