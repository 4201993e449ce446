/*
 * test_text.c: UTF-8, base64, hexadecimal, URLs.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs files or processes.
 * Tested in: itself.
 */
#include "tests/unit/common/tests.h"

#include "common/text.h"

#define EURO "\xe2\x82\xac"
#define SMILE "\xf0\x9f\x98\x80"
#define REPL "\xef\xbf\xbd"

static void test_utf8_round_trip(void **state)
{
    UNUSED(state);
    for (uint32_t cp = 0; cp <= 0x110000; cp += cp < 0x10000 ? 1 : 61) {
        char s[4];
        uint32_t back = 0;
        size_t n = utf8_encode(cp, s);
        assert_int_equal(utf8_decode((sv){s, n}, &back), n);
        bool none = (cp >= 0xd800 && cp <= 0xdfff) || cp > 0x10ffff;
        assert_int_equal(back, none ? 0xfffd : cp);
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(utf8_decode((sv){s, k}, &back), 0); /* cut short */
        }
    }
}

static void test_utf8_invalid(void **state)
{
    UNUSED(state);
    static const char *const bad[] = {
        "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "\xff",
        "\xc3(", "\xe2\x82(", "\xf0\x9f\x98(", "a\xc3",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(utf8_valid(sv_of(bad[i])));
    }
    assert_true(utf8_valid(SV_NULL));
    assert_true(utf8_valid(SV("a" EURO SMILE "\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80")));
    assert_true(utf8_valid((sv){"\0", 1}));
    /* the fast path over ASCII: a bad byte at every distance from an eight-byte step, and text behind it */
    char line[32];
    for (size_t at = 0; at < sizeof(line); at++) {
        memset(line, 'a', sizeof(line));
        assert_true(utf8_valid(sv_mem(line, sizeof(line))));
        line[at] = (char)0xff;
        assert_false(utf8_valid(sv_mem(line, sizeof(line))));
    }
    assert_true(utf8_valid(SV("twelve bytes" EURO "and more than eight behind" SMILE)));
}

static void test_utf8_cut(void **state)
{
    UNUSED(state);
    sv s = SV("a" EURO SMILE "z"); /* 1 + 3 + 4 + 1 bytes */
    static const size_t want[] = {0, 1, 1, 1, 4, 4, 4, 4, 8, 9, 9};
    for (size_t max = 0; max < ARRAY_LEN(want); max++) {
        assert_int_equal(utf8_cut(s, max), want[max]);
    }
    sv junk = SV("\x80\x80\x80\x80\x80\x80\x80\x80"); /* nothing to protect: cut where asked */
    assert_int_equal(utf8_cut(junk, 5), 5);
    assert_int_equal(utf8_cut(SV("\xe2\x82"), 9), 2);
    assert_int_equal(utf8_cut(SV("ab\xe2" "cd"), 3), 3);
}

static void test_utf8_lengths_and_clean(void **state)
{
    UNUSED(state);
    assert_int_equal(utf8_length(SV("a" EURO SMILE)), 3);
    assert_int_equal(utf16_length(SV("a" EURO SMILE)), 4);
    assert_int_equal(utf8_length(SV("\xff\xe2\x82")), 3);
    assert_int_equal(utf16_length(SV("\xff\xe2\x82")), 3);
    assert_int_equal(utf8_length(SV_NULL), 0);
    ATTR_CLEANUP(buf_free) struct buf b = BUF_INIT(20);
    utf8_clean(&b, SV("ok" EURO "\xe2\x82|\xff"));
    assert_buf(&b, "ok" EURO REPL REPL "|" REPL);
    utf8_clean(&b, SV("123456")); /* 15 + 6 is over the cap: nothing is added */
    assert_true(b.full);
    assert_int_equal(b.n, 15);
}

static void test_b64_vectors(void **state)
{
    UNUSED(state);
    static const char *const rows[][3] = { /* RFC 4648 section 10, and what the alphabets differ in */
        {"", "", ""},           {"f", "Zg==", "Zg"},         {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"}, {"foob", "Zm9vYg==", "Zm9vYg"}, {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"}, {"\xfb\xff\xfe", "+//+", "-__-"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ATTR_CLEANUP(buf_free) struct buf b = BUF_INIT(100);
        assert_true(b64_encode(&b, sv_of(rows[i][0]), B64_STD));
        assert_buf(&b, rows[i][1]);
        buf_reset(&b);
        assert_true(b64_encode(&b, sv_of(rows[i][0]), B64_URL));
        assert_buf(&b, rows[i][2]);
        for (size_t k = 1; k < 3; k++) {
            buf_reset(&b);
            assert_true(b64_decode(&b, sv_of(rows[i][k])));
            assert_buf(&b, rows[i][0]);
        }
    }
}

static void test_b64_bad(void **state)
{
    UNUSED(state);
    static const char *const bad[] = {"Z", "Zg=", "Zg===", "Zm9v=", "Zm9vY", "Zm 9", "Zm9\n", "Zh==", "Zm9=", "=",
                                      "====", "Z===", "Zg==Zg==", "Zm9v\x80"};
    ATTR_CLEANUP(buf_free) struct buf b = BUF_INIT(100);
    buf_str(&b, "kept");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(b64_decode(&b, sv_of(bad[i])));
        assert_buf(&b, "kept");
    }
    struct buf small = BUF_INIT(3);
    assert_true(b64_decode(&small, SV("Zm9v")));
    assert_false(b64_decode(&small, SV("Zg")));
    assert_false(b64_encode(&small, SV("x"), B64_URL));
    assert_buf(&small, "foo");
    buf_free(&small);
}

static void test_hex(void **state)
{
    UNUSED(state);
    ATTR_CLEANUP(buf_free) struct buf b = BUF_INIT(6);
    assert_true(hex_encode(&b, (sv){"\x00\xff\x1a", 3}));
    assert_buf(&b, "00ff1a");
    assert_false(hex_encode(&b, SV("x")));
    assert_buf(&b, "00ff1a");
}

static void test_url_good(void **state)
{
    UNUSED(state);
    struct url u;
    assert_true(url_parse(SV("HTTPS://us%40er:pw@Example.org:8443/a/b?x=1&y=?2#frag#2"), &u));
    assert_sv(u.scheme, "https");
    assert_sv(u.userinfo, "us%40er:pw");
    assert_sv(u.host, "Example.org");
    assert_int_equal(u.port, 8443);
    assert_sv(u.path, "/a/b");
    assert_sv(u.query, "x=1&y=?2");
    assert_sv(u.fragment, "frag#2");
    assert_true(url_parse(SV("ws://[::1]:20001"), &u));
    assert_sv(u.host, "::1");
    assert_int_equal(u.port, 20001);
    assert_sv(u.path, "");
    assert_sv(u.userinfo, "");
    assert_true(url_parse(SV("http://h?q"), &u));
    assert_sv(u.path, "");
    assert_sv(u.query, "q");
    assert_true(url_parse(SV("ircs://irc.example.net/#chan"), &u));
    assert_int_equal(u.port, 0);
    assert_true(url_parse(SV("http://h/a@b:c"), &u)); /* '@' and ':' behind the slash are path */
    assert_sv(u.host, "h");
    assert_sv(u.path, "/a@b:c");
}

static void test_url_bad(void **state)
{
    UNUSED(state);
    static const char *const bad[] = {
        "", "example.org", "//example.org", "http:/x", "http://", "ftp://x", "file:///etc/passwd", "http://:80",
        "http://a b", "http://a\tb", "http://a\n", "http://a\\@b", "http://x:0", "http://x:65536", "http://x:",
        "http://x:8o", "http://a@b@c", "http://[::1", "http://[]", "http://[::1]x", "http://::1", "http://[host]",
        "http://ex%61mple", "http://\xc3\xa4.org", "http://x/\xff", " http://x", "javascript:alert(1)", "http://x/\x7f",
        "http://[127.0.0.1]",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct url u;
        assert_false(url_parse(sv_of(bad[i]), &u));
        assert_null(u.host.p);
    }
    struct url u;
    assert_false(url_parse((sv){"http://a\0.org", 12}, &u));
}

static void test_url_escapes(void **state)
{
    UNUSED(state);
    ATTR_CLEANUP(buf_free) struct buf b = BUF_INIT(64);
    assert_true(url_encode(&b, SV("aZ0-._~ /?%\xc3\xa9+")));
    assert_buf(&b, "aZ0-._~%20%2F%3F%25%C3%A9%2B");
    struct buf d = BUF_INIT(64);
    assert_true(url_decode(&d, buf_view(&b)));
    assert_buf(&d, "aZ0-._~ /?%\xc3\xa9+");
    buf_reset(&d);
    assert_true(url_decode(&d, SV("a+b%2b%2B")));
    assert_buf(&d, "a+b++");
    static const char *const bad[] = {"%", "%4", "ab%4", "%zz", "%4g", "%-1", "100%"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(url_decode(&d, sv_of(bad[i])));
        assert_buf(&d, "a+b++");
    }
    buf_free(&d);
    struct buf small = BUF_INIT(5);
    assert_false(url_encode(&small, SV("ab  ")));
    assert_int_equal(small.n, 0);
    buf_free(&small);
}

static void test_url_query(void **state)
{
    UNUSED(state);
    sv q = SV("a=1&bb=2=3&flag&empty=&a=9&%61=x");
    assert_sv(url_query(q, "a"), "1"); /* the first wins */
    assert_sv(url_query(q, "bb"), "2=3");
    assert_sv(url_query(q, "flag"), "");
    assert_non_null(url_query(q, "flag").p);
    assert_non_null(url_query(q, "empty").p);
    assert_null(url_query(q, "b").p);
    assert_null(url_query(SV_NULL, "a").p);
    assert_null(url_query(SV("&&"), "a").p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_round_trip), cmocka_unit_test(test_utf8_invalid),
        cmocka_unit_test(test_utf8_cut),        cmocka_unit_test(test_utf8_lengths_and_clean),
        cmocka_unit_test(test_b64_vectors),     cmocka_unit_test(test_b64_bad),
        cmocka_unit_test(test_hex),             cmocka_unit_test(test_url_good),
        cmocka_unit_test(test_url_bad),         cmocka_unit_test(test_url_escapes),
        cmocka_unit_test(test_url_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
