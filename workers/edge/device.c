/*
 * device.c: see device.h.
 * Runs in: edge.     Owns: nothing.
 * Never: accepts a signature over anything but the two payload strings.
 * Tested in: tests/unit/edge/test_device.c
 */
#include "workers/edge/device.h"

#include <string.h>

#include "common/crypto.h"
#include "common/text.h"

#define SIGNATURE_LIFE_MS 120000 /* 6.3 */
#define PAYLOAD_MAX 8192

/* 6.2: trimmed, ASCII letters lower-cased. */
static void add_lower(struct buf *dst, sv s)
{
    s = sv_trim(s);
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        buf_ch(dst, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
}

void device_payload(int version, const struct device_proof *p, struct buf *dst)
{
    buf_printf(dst, "v%d|", version);
    buf_sv(dst, p->id);
    buf_ch(dst, '|');
    buf_sv(dst, p->client_id);
    buf_ch(dst, '|');
    buf_sv(dst, p->client_mode);
    buf_ch(dst, '|');
    buf_sv(dst, p->role);
    buf_ch(dst, '|');
    buf_sv(dst, p->scopes);
    buf_printf(dst, "|%lld|", (long long)p->signed_at_ms);
    buf_sv(dst, p->token);
    buf_ch(dst, '|');
    buf_sv(dst, p->nonce);
    if (version >= 3) {
        buf_ch(dst, '|');
        add_lower(dst, p->platform);
        buf_ch(dst, '|');
        add_lower(dst, p->family);
    }
}

/* The 12 bytes in front of the raw key in an Ed25519 SubjectPublicKeyInfo (RFC 8410). */
static const uint8_t SPKI_HEAD[12] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                      0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

static bool key_from_pem(sv text, uint8_t raw[32])
{
    static const char begin[] = "-----BEGIN PUBLIC KEY-----";
    static const char end[] = "-----END PUBLIC KEY-----";
    ptrdiff_t stop = sv_find(text, sv_of(end));
    if (stop < (ptrdiff_t)(sizeof begin - 1)) {
        return false;
    }
    struct buf b64 = BUF_INIT(256), der = BUF_INIT(256);
    for (size_t i = sizeof begin - 1; i < (size_t)stop; i++) {
        if (strchr(" \t\r\n", text.p[i]) == NULL) {
            buf_ch(&b64, text.p[i]);
        }
    }
    bool ok = !b64.full && b64_decode(&der, buf_view(&b64)) && der.n == 44 &&
              memcmp(der.p, SPKI_HEAD, sizeof SPKI_HEAD) == 0;
    if (ok) {
        memcpy(raw, der.p + sizeof SPKI_HEAD, 32);
    }
    buf_free(&b64);
    buf_free(&der);
    return ok;
}

static bool decode_exact(sv text, uint8_t *dst, size_t n)
{
    struct buf b = BUF_INIT(256);
    bool ok = b64_decode(&b, text) && b.n == n;
    if (ok) {
        memcpy(dst, b.p, n);
    }
    buf_free(&b);
    return ok;
}

bool device_key(sv text, uint8_t raw[32])
{
    text = sv_trim(text);
    if (sv_starts(text, SV("-----BEGIN PUBLIC KEY-----"))) {
        return key_from_pem(text, raw);
    }
    return decode_exact(text, raw, 32);
}

static bool signature_ok(const struct device_proof *p, const uint8_t raw[32])
{
    uint8_t sig[64];
    if (!decode_exact(p->signature, sig, sizeof sig)) {
        return false;
    }
    /* Browsers sign version 2, everybody else 3: both must pass (6.2). */
    for (int version = 3; version >= 2; version--) {
        struct buf payload = BUF_INIT(PAYLOAD_MAX);
        device_payload(version, p, &payload);
        bool ok = !payload.full && crypto_ed25519_verify(raw, sig, buf_view(&payload));
        buf_free(&payload);
        if (ok) {
            return true;
        }
    }
    return false;
}

static bool id_matches(sv id, const uint8_t raw[32])
{
    uint8_t hash[32];
    struct buf hex = BUF_INIT(128);
    crypto_sha256(hash, sv_mem(raw, 32));
    hex_encode(&hex, sv_mem(hash, sizeof hash));
    bool same = sv_eq(id, buf_view(&hex));
    buf_free(&hex);
    return same;
}

const struct device_refusal *device_check(const struct device_proof *p, sv challenge_nonce,
                                          int64_t now_ms, uint8_t raw[32])
{
    static const struct device_refusal mismatch = {
        "device identity mismatch", "DEVICE_AUTH_DEVICE_ID_MISMATCH", "device-id-mismatch"};
    static const struct device_refusal expired = {
        "device signature expired", "DEVICE_AUTH_SIGNATURE_EXPIRED", "device-signature-stale"};
    static const struct device_refusal no_nonce = {
        "device nonce required", "DEVICE_AUTH_NONCE_REQUIRED", "device-nonce-missing"};
    static const struct device_refusal nonce = {
        "device nonce mismatch", "DEVICE_AUTH_NONCE_MISMATCH", "device-nonce-mismatch"};
    static const struct device_refusal signature = {
        "device signature invalid", "DEVICE_AUTH_SIGNATURE_INVALID", "device-signature"};

    if (!device_key(p->public_key, raw) || !id_matches(p->id, raw)) {
        return &mismatch;
    }
    if (p->signed_at_ms < now_ms - SIGNATURE_LIFE_MS || p->signed_at_ms > now_ms + SIGNATURE_LIFE_MS) {
        return &expired;
    }
    if (sv_trim(p->nonce).n == 0) {
        return &no_nonce;
    }
    if (!sv_eq(p->nonce, challenge_nonce)) {
        return &nonce;
    }
    return signature_ok(p, raw) ? NULL : &signature;
}
