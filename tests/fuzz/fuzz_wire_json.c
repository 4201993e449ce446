/*
 * fuzz_wire_json.c: JSON text of every message type.
 * Runs in: libFuzzer (clang, -Dfuzz=true).     Owns: nothing.
 * Never: opens files.
 * Tested in: itself; seeds in tests/fuzz/seeds/wire_json: type (2 bytes, big endian), then the text
 */
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint16_t type = size >= 2 ? (uint16_t)(data[0] << 8 | data[1]) : 0;
    const struct msg_desc *d = msg_desc(type);
    if (!d) {
        return 0;
    }
    struct arena a = ARENA_INIT;
    struct buf once = BUF_INIT(16 * BUF_MAX_DEFAULT), twice = BUF_INIT(16 * BUF_MAX_DEFAULT);
    struct wire_error why;
    void *body = arena_alloc(&a, d->size), *again = arena_alloc(&a, d->size);
    if (wire_from_json(type, sv_mem(data + 2, size - 2), &a, body, &why) == OK) {
        ASSERT(wire_to_json(type, body, &once) == OK);
        ASSERT(wire_from_json(type, buf_view(&once), &a, again, &why) == OK);
        ASSERT(wire_to_json(type, again, &twice) == OK);
        ASSERT(sv_eq(buf_view(&once), buf_view(&twice)));
    }
    buf_free(&once);
    buf_free(&twice);
    arena_free(&a);
    return 0;
}
