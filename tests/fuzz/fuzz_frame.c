/*
 * fuzz_frame.c: a client's frame, and as `connect` its parameters and device proof.
 * Runs in: libFuzzer (clang, -Dfuzz=true).     Owns: nothing.
 * Never: opens anything.
 * Tested in: itself; seeds in tests/fuzz/seeds/frame
 */
#include <stddef.h>
#include <stdint.h>

#include "common/crypto.h"
#include "common/err.h"
#include "common/text.h"
#include "workers/edge/connect_params.h"
#include "workers/edge/frame.h"
#include "workers/edge/sesskey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_connect(struct frame *f)
{
    struct connect_params p;
    uint8_t raw[32];
    struct buf why = BUF_INIT(400);
    if (connect_params_parse(f->params, &p, &why)) {
        ASSERT(why.n == 0 && p.min_protocol >= 1 && p.max_protocol >= 1);
        ASSERT(p.client_id.n > 0 && p.role.n > 0);
        if (p.has_device) {
            device_check(&p.device, p.device.nonce, p.device.signed_at_ms, raw);
        }
    } else {
        ASSERT(why.n > 0);
    }
    connect_params_free(&p);
    buf_free(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame f;
    char key[SESSKEY_MAX + 1];
    crypto_init();
    frame_parse(sv_mem(data, size), &f);
    ASSERT((f.kind == FRAME_NOT_JSON) == (f.root == NULL));
    ASSERT(f.id.n > 0);
    ASSERT(f.kind != FRAME_BAD || f.why[0] != '\0');
    if (f.kind == FRAME_REQUEST) {
        ASSERT(f.method.n > 0 && utf8_valid(f.method));
        try_connect(&f);
        if (sesskey_canonical(json_sv(f.params, "sessionKey"), f.method, key)) {
            ASSERT(sesskey_agent(sv_of(key)).n > 0);
        }
    }
    frame_free(&f);
    return 0;
}
