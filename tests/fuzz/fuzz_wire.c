/*
 * fuzz_wire.c: bodies of every message type, and headers.
 * Runs in: libFuzzer (clang, -Dfuzz=true).     Owns: nothing.
 * Never: opens files.
 * Tested in: itself; seeds in tests/fuzz/seeds/wire: type (2 bytes, big endian), then the body
 */
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "proto/envelope.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was decoded encodes again, and from then on gives the same bytes. */
static void try_body(uint16_t type, sv bytes)
{
    const struct msg_desc *d = msg_desc(type);
    struct arena a = ARENA_INIT;
    struct buf once = BUF_INIT(BUF_MAX_DEFAULT), twice = BUF_INIT(BUF_MAX_DEFAULT);
    struct wire_error why;
    void *body = arena_alloc(&a, d->size), *again = arena_alloc(&a, d->size);
    if (wire_decode(type, bytes, &a, body, &why) == OK) {
        ASSERT(wire_encode(type, body, &once, &why) == OK);
        ASSERT(wire_decode(type, buf_view(&once), &a, again, &why) == OK);
        ASSERT(wire_encode(type, again, &twice, &why) == OK);
        ASSERT(sv_eq(buf_view(&once), buf_view(&twice)));
    }
    buf_free(&once);
    buf_free(&twice);
    arena_free(&a);
}

static void try_header(sv bytes)
{
    struct envelope e, again;
    struct buf b = BUF_INIT(ENVELOPE_MAX);
    if (envelope_decode(bytes, &e) == OK) {
        ASSERT(envelope_encode(&e, &b));
        ASSERT(envelope_decode(buf_view(&b), &again) == OK);
        ASSERT(again.type == e.type && again.rid == e.rid && sv_eq(again.src, e.src) && sv_eq(again.dst, e.dst));
    }
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_header(sv_mem(data, size));
    uint16_t type = size >= 2 ? (uint16_t)(data[0] << 8 | data[1]) : 0;
    if (msg_desc(type)) {
        try_body(type, sv_mem(data + 2, size - 2));
    }
    return 0;
}
