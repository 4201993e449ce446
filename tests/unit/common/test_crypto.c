/*
 * test_crypto.c: common/crypto.c against published vectors and the device vector of gateway-ws.md 6.4.
 * Runs in: meson test, suite unit.     Owns: nothing.
 * Never: invents a vector of its own where a published one exists.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/buf.h"
#include "common/crypto.h"
#include "common/text.h"

static void assert_hex(const uint8_t *bytes, size_t n, const char *hex)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(256);
    assert_true(hex_encode(&b, sv_mem(bytes, n)));
    assert_string_equal(buf_cstr(&b), hex);
}

static void unbase64(const char *text, uint8_t *dst, size_t n)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(256);
    assert_true(b64_decode(&b, sv_of(text)));
    assert_int_equal(b.n, n);
    memcpy(dst, b.p, n);
}

/* FIPS 180-2 appendix B */
static void sha256(void **state)
{
    (void)state;
    uint8_t out[32];
    crypto_sha256(out, SV("abc"));
    assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_sha256(out, SV_NULL);
    assert_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231, cases 1, 2 and 6 (a key longer than the block) */
static void hmac(void **state)
{
    (void)state;
    uint8_t out[32];
    char key[131];
    memset(key, 0x0b, 20);
    crypto_hmac_sha256(out, sv_mem(key, 20), SV("Hi There"));
    assert_hex(out, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    crypto_hmac_sha256(out, SV("Jefe"), SV("what do ya want for nothing?"));
    assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, 131);
    crypto_hmac_sha256(out, sv_mem(key, 131), SV("Test Using Larger Than Block-Size Key - Hash Key First"));
    assert_hex(out, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void device_vector(void **state)
{
    (void)state;
    static const char payload[] =
        "v2|56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c|cli|cli|operator|"
        "operator.read,operator.write|1737264000000|DUMMY-TOKEN|11111111-2222-4333-8444-555555555555";
    uint8_t pub[32], sig[64], id[32];
    unbase64("A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg", pub, 32);
    assert_hex(pub, 32, "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
    crypto_sha256(id, sv_mem(pub, 32));
    assert_hex(id, 32, "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c");

    unbase64("gY7GmgeQz-s5oawK9ZC8oXLSkjyNcVeNIYNF7crJsNX6KyRV75A8wYYZ0xQZW4dd769OZSPYqkWMER30C4V0BQ", sig, 64);
    assert_true(crypto_ed25519_verify(pub, sig, SV(payload)));
    assert_false(crypto_ed25519_verify(pub, sig, SV("v2|other")));
    sig[5] ^= 1;
    assert_false(crypto_ed25519_verify(pub, sig, SV(payload)));

    struct buf v3 ATTR_CLEANUP(buf_free) = BUF_INIT(512);
    buf_add(&v3, payload, sizeof payload - 1);
    v3.p[1] = '3';
    buf_str(&v3, "|linux|linux");
    unbase64("Unf51YYWa-Xiwur5AuGzE_DJtKBmOH_D79NhCjw4lg9eBudj4XLRrzOh_hjjFjqNH5mFHpFZGzmz5hAWxvGCCw", sig, 64);
    assert_true(crypto_ed25519_verify(pub, sig, buf_view(&v3)));
}

static void key_depends_on_the_cut(void **state)
{
    (void)state;
    uint8_t a[16], b[16], again[16];
    crypto_key128(a, (sv[]){SV("ab"), SV("c")}, 2);
    crypto_key128(b, (sv[]){SV("a"), SV("bc")}, 2);
    crypto_key128(again, (sv[]){SV("ab"), SV("c")}, 2);
    assert_memory_equal(a, again, 16);
    assert_memory_not_equal(a, b, 16);
    crypto_key128(b, (sv[]){SV("ab"), SV("c"), SV_NULL}, 3);
    assert_memory_not_equal(a, b, 16);
    /* Stored keys depend on this value: BLAKE2b-128 of LE64(1) "x". */
    crypto_key128(a, (sv[]){SV("x")}, 1);
    assert_hex(a, 16, "1ff47a876f42e33dda291cecd644c99d");
}

static void equality(void **state)
{
    (void)state;
    assert_true(crypto_equal(SV("secret"), SV("secret")));
    assert_false(crypto_equal(SV("secret"), SV("secreT")));
    assert_false(crypto_equal(SV("secret"), SV("secret2")));
    assert_true(crypto_equal(SV_NULL, SV("")));
}

static void secrets(void **state)
{
    (void)state;
    struct secret s = {NULL, 0};
    secret_set(&s, SV("hunter2"));
    assert_string_equal(s.p, "hunter2");
    assert_true(crypto_equal(secret_sv(&s), SV("hunter2")));
    secret_set(&s, SV("x")); /* replaces */
    assert_int_equal(secret_sv(&s).n, 1);
    secret_set(&s, SV_NULL);
    assert_string_equal(s.p, "");
    secret_free(&s);
    assert_null(s.p);
    secret_free(&s);
}

static int init(void **state)
{
    (void)state;
    crypto_init();
    crypto_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256),        cmocka_unit_test(hmac),
        cmocka_unit_test(device_vector), cmocka_unit_test(key_depends_on_the_cut),
        cmocka_unit_test(equality),      cmocka_unit_test(secrets),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
