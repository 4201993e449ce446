/*
 * test_device.c: payload strings and signatures, with the vector of gateway-ws.md 6.4.
 * Runs in: unit tests.     Owns: nothing.
 * Never: makes keys: verification only.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "common/crypto.h"
#include "workers/edge/device.h"

#define ID "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c"
#define NONCE "11111111-2222-4333-8444-555555555555"
#define NOW 1737264000000
#define REST "|cli|cli|operator|operator.read,operator.write|1737264000000|DUMMY-TOKEN|" NONCE
#define SIG_V2 "gY7GmgeQz-s5oawK9ZC8oXLSkjyNcVeNIYNF7crJsNX6KyRV75A8wYYZ0xQZW4dd769OZSPYqkWMER30C4V0BQ"
#define SIG_V3 "Unf51YYWa-Xiwur5AuGzE_DJtKBmOH_D79NhCjw4lg9eBudj4XLRrzOh_hjjFjqNH5mFHpFZGzmz5hAWxvGCCw"

static struct device_proof vector(void)
{
    return (struct device_proof){
        .id = SV(ID),
        .public_key = SV("A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"),
        .signature = SV(SIG_V3),
        .nonce = SV(NONCE),
        .signed_at_ms = NOW,
        .client_id = SV("cli"),
        .client_mode = SV("cli"),
        .role = SV("operator"),
        .scopes = SV("operator.read,operator.write"),
        .token = SV("DUMMY-TOKEN"),
        .platform = SV("linux"),
        .family = SV("linux"),
    };
}

static const char *verdict(const struct device_proof *p, int64_t now)
{
    uint8_t raw[32];
    const struct device_refusal *r = device_check(p, SV(NONCE), now, raw);
    return r ? r->reason : "ok";
}

static void test_payload(void **state)
{
    UNUSED(state);
    struct device_proof p = vector();
    struct buf b = BUF_INIT(1024);
    device_payload(2, &p, &b);
    assert_sv(buf_view(&b), "v2|" ID REST);
    buf_reset(&b);
    device_payload(3, &p, &b);
    assert_sv(buf_view(&b), "v3|" ID REST "|linux|linux");
    buf_reset(&b);
    p.platform = SV("  MacOS ");
    p.family = SV_NULL;
    p.scopes = SV("");
    p.token = SV("");
    device_payload(3, &p, &b);
    assert_sv(buf_view(&b), "v3|" ID "|cli|cli|operator||1737264000000||" NONCE "|macos|");
    buf_free(&b);
}

static void test_both_versions(void **state)
{
    UNUSED(state);
    struct device_proof p = vector();
    assert_string_equal(verdict(&p, NOW), "ok");
    p.signature = SV(SIG_V2);
    assert_string_equal(verdict(&p, NOW), "ok");
    /* Version 3 covers the platform, version 2 does not. */
    p.platform = SV("macos");
    assert_string_equal(verdict(&p, NOW), "ok");
    p.signature = SV(SIG_V3);
    assert_string_equal(verdict(&p, NOW), "device-signature");
}

static void test_encodings(void **state)
{
    UNUSED(state);
    struct device_proof p = vector();
    p.public_key = SV("A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=");
    p.signature =
        SV("Unf51YYWa+Xiwur5AuGzE/DJtKBmOH/D79NhCjw4lg9eBudj4XLRrzOh/hjjFjqNH5mFHpFZGzmz5hAWxvGCCw==");
    assert_string_equal(verdict(&p, NOW), "ok");
    p.public_key = SV("-----BEGIN PUBLIC KEY-----\n"
                      "MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n"
                      "-----END PUBLIC KEY-----\n");
    assert_string_equal(verdict(&p, NOW), "ok");
    p.public_key = SV("-----BEGIN PUBLIC KEY-----");
    assert_string_equal(verdict(&p, NOW), "device-id-mismatch");
    p.public_key = SV("not a key");
    assert_string_equal(verdict(&p, NOW), "device-id-mismatch");
}

static void test_refusals_in_order(void **state)
{
    UNUSED(state);
    struct device_proof p = vector();
    assert_string_equal(verdict(&p, NOW + 120000), "ok");
    assert_string_equal(verdict(&p, NOW - 120000), "ok");
    assert_string_equal(verdict(&p, NOW + 120001), "device-signature-stale");
    assert_string_equal(verdict(&p, NOW - 120001), "device-signature-stale");
    p.signed_at_ms = INT64_MAX;
    assert_string_equal(verdict(&p, NOW), "device-signature-stale");
    p = vector();
    p.nonce = SV("  ");
    assert_string_equal(verdict(&p, NOW), "device-nonce-missing");
    p.nonce = SV("other");
    assert_string_equal(verdict(&p, NOW), "device-nonce-mismatch");
    p = vector();
    p.token = SV("another");
    assert_string_equal(verdict(&p, NOW), "device-signature");
    p.signature = SV("short");
    assert_string_equal(verdict(&p, NOW), "device-signature");
    p.id = SV("00");
    assert_string_equal(verdict(&p, NOW), "device-id-mismatch");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payload),
        cmocka_unit_test(test_both_versions),
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_refusals_in_order),
    };
    crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
