/*
 * test_irc_proto.c: framing, parsing and writing of IRC lines.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs a network or the real clock.
 * Tested in: itself.
 */
#include "tests/unit/chan/tests.h"

#include <stdlib.h>

#include "common/text.h"
#include "workers/chan/drivers/irc_proto.h"

struct lines {
    char text[8][600];
    size_t n, stop_at;
};

static bool collect(void *ctx, sv line)
{
    struct lines *l = (struct lines *)ctx;
    assert_true(line.n > 0);
    if (l->n < 8 && line.n < sizeof l->text[0]) {
        memcpy(l->text[l->n], line.p, line.n);
        l->text[l->n][line.n] = '\0';
    }
    l->n++;
    return l->stop_at == 0 || l->n < l->stop_at;
}

static void test_framing(void **state)
{
    UNUSED(state);
    struct irc_framer *f = (struct irc_framer *)xcalloc(1, sizeof *f);
    struct lines l = {.n = 0};
    irc_frame(f, SV("PING :a\r\nPI"), collect, &l);
    irc_frame(f, SV("NG :b\r"), collect, &l);
    irc_frame(f, SV("\n\r\n\n\nPING :c\nrest"), collect, &l);
    assert_int_equal(l.n, 3);
    assert_string_equal(l.text[0], "PING :a");
    assert_string_equal(l.text[1], "PING :b");
    assert_string_equal(l.text[2], "PING :c");
    xfree(f);
}

static void test_oversize_lines_vanish_whole(void **state)
{
    UNUSED(state);
    struct irc_framer *f = (struct irc_framer *)xcalloc(1, sizeof *f);
    struct lines l = {.n = 0};
    for (int i = 0; i < 2000; i++) {
        irc_frame(f, SV("0123456789"), collect, &l);
    }
    irc_frame(f, SV("\r\nPING :next\r\n"), collect, &l);
    assert_int_equal(l.n, 1);
    assert_string_equal(l.text[0], "PING :next");
    assert_int_equal(f->dropped, 1);
    struct lines s = {.stop_at = 1};
    irc_frame(f, SV("A\r\nB\r\n"), collect, &s);
    assert_int_equal(s.n, 1);
    xfree(f);
}

static void test_parse(void **state)
{
    UNUSED(state);
    struct irc_msg m;
    assert_int_equal(irc_parse(SV("@time=2026-01-01T00:00:00Z;msgid=a\\:b\\s\\\\c;x :nick!u@h.x PRIVMSG #c :hello  there :)"),
                               &m), OK);
    assert_sv(m.prefix, "nick!u@h.x");
    assert_sv(m.command, "PRIVMSG");
    assert_int_equal(m.n, 2);
    assert_sv(m.params[0], "#c");
    assert_sv(m.params[1], "hello  there :)");
    char v[64];
    assert_true(irc_tag(&m, "msgid", v, sizeof v));
    assert_string_equal(v, "a;b \\c");
    assert_true(irc_tag(&m, "x", v, sizeof v));
    assert_string_equal(v, "");
    assert_false(irc_tag(&m, "y", v, sizeof v));
    assert_false(irc_tag(&m, "msgid", v, 3));
    assert_int_equal(irc_parse(SV("PING"), &m), OK);
    assert_int_equal(m.n, 0);
    assert_null(irc_param(&m, 0).p);
    assert_int_equal(irc_parse(SV(":s 001   bot  :Welcome"), &m), OK);
    assert_int_equal(irc_numeric(&m), 1);
    assert_int_equal(m.n, 2);
    assert_int_equal(irc_parse(SV("X :"), &m), OK);
    assert_int_equal(m.n, 1);
    assert_sv(m.params[0], "");
    assert_int_equal(irc_parse(SV("C 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 :17"), &m), OK);
    assert_int_equal(m.n, IRC_PARAMS_MAX);
    assert_sv(m.params[14], "15 16 :17");
}

static void test_hostile_lines(void **state)
{
    UNUSED(state);
    static const char *const bad[] = {"", " ", ":", ":prefix", ":prefix ", "@tags", "@tags :p", "@ : ", "\x01", "P-ING",
                                      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA x"};
    struct irc_msg m;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(irc_parse(sv_of(bad[i]), &m), ERR_PARSE);
    }
    assert_int_equal(irc_parse(sv_mem("PING\0x", 6), &m), ERR_PARSE);
    assert_int_equal(irc_parse(SV("@a=b\\ PING"), &m), OK);
    char v[8];
    assert_true(irc_tag(&m, "a", v, sizeof v));
    assert_string_equal(v, "b");
}

static void test_prefixes(void **state)
{
    UNUSED(state);
    struct irc_who w = irc_prefix(SV("nick!user@host"));
    assert_sv(w.nick, "nick");
    assert_sv(w.user, "user");
    assert_sv(w.host, "host");
    w = irc_prefix(SV("irc.example.org"));
    assert_sv(w.nick, "irc.example.org");
    assert_true(sv_empty(w.host));
    w = irc_prefix(SV("nick@host"));
    assert_sv(w.nick, "nick");
    assert_sv(w.host, "host");
    w = irc_prefix(SV("nick!user"));
    assert_sv(w.user, "user");
    w = irc_prefix(SV(""));
    assert_true(sv_empty(w.nick));
}

static void test_writing(void **state)
{
    UNUSED(state);
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(IRC_LINE_MAX + 2);
    sv p[3] = {SV("#c"), SV("hello there")};
    assert_true(irc_put(&b, "PRIVMSG", p, 2));
    assert_sv(buf_view(&b), "PRIVMSG #c :hello there\r\n");
    static const char *const bad_last[] = {"a\rQUIT", "a\nQUIT"};
    for (size_t i = 0; i < ARRAY_LEN(bad_last); i++) {
        buf_reset(&b);
        p[1] = sv_of(bad_last[i]);
        assert_false(irc_put(&b, "PRIVMSG", p, 2));
        assert_int_equal(b.n, 0);
    }
    p[1] = sv_mem("a\0b", 3);
    assert_false(irc_put(&b, "PRIVMSG", p, 2));
    static const char *const bad_middle[] = {"", "a b", ":x", "a\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad_middle); i++) {
        sv q[2] = {sv_of(bad_middle[i]), SV("x")};
        assert_false(irc_put(&b, "PRIVMSG", q, 2));
    }
    char text[IRC_LINE_MAX];
    memset(text, 'x', sizeof text);
    size_t room = IRC_LINE_MAX - strlen("PRIVMSG #c :");
    sv q[2] = {SV("#c"), sv_mem(text, room)};
    assert_true(irc_put(&b, "PRIVMSG", q, 2));
    assert_int_equal(b.n, IRC_LINE_MAX + 2);
    buf_reset(&b);
    q[1].n++;
    assert_false(irc_put(&b, "PRIVMSG", q, 2));
}

static void test_names(void **state)
{
    UNUSED(state);
    assert_true(irc_same(SV("Nick[a]^"), SV("nick{A}~"), IRC_RFC1459));
    assert_false(irc_same(SV("Nick[a]^"), SV("nick{A}~"), IRC_RFC1459_STRICT));
    assert_true(irc_same(SV("a\\b"), SV("A|B"), IRC_RFC1459_STRICT));
    assert_false(irc_same(SV("a["), SV("a{"), IRC_ASCII));
    assert_int_equal(irc_casemap_of(SV("ascii")), IRC_ASCII);
    assert_int_equal(irc_casemap_of(SV("strict-rfc1459")), IRC_RFC1459_STRICT);
    assert_int_equal(irc_casemap_of(SV("unheard-of")), IRC_RFC1459);
    char f[8];
    assert_true(irc_fold(f, sizeof f, SV("#Room[]"), IRC_RFC1459));
    assert_string_equal(f, "#room{}");
    assert_false(irc_fold(f, sizeof f, SV("#Room[]x"), IRC_RFC1459));
    assert_true(irc_is_channel(SV("#x"), SV("#&")));
    assert_false(irc_is_channel(SV("#"), SV("#&")));
    assert_false(irc_is_channel(SV("nick"), SV("#&")));
}

static void test_masks(void **state)
{
    UNUSED(state);
    static const struct {
        const char *mask, *id;
        bool want;
    } cases[] = {
        {"alice!~a@host", "Alice!~a@HOST", true}, {"alice", "alice!~a@host", false}, {"*!*@trusted.example", "x!y@trusted.example", true},
        {"*!*@trusted.example", "x!y@evil.trusted.example", false}, {"*@*.example", "x!y@a.b.example", true},
        {"a?ice!*", "alice!u@h", true}, {"a?ice!*", "aice!u@h", false}, {"**", "", true}, {"", "x", false}, {"", "", true},
        {"*a*b*c*", "xxaxxbxxcxx", true}, {"*a*b*c*", "xxaxxcxxbxx", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (irc_mask(sv_of(cases[i].mask), sv_of(cases[i].id), IRC_RFC1459) != cases[i].want) {
            fail_msg("%s %s", cases[i].mask, cases[i].id);
        }
    }
}

static void test_ctcp(void **state)
{
    UNUSED(state);
    sv verb, rest;
    assert_true(irc_ctcp(SV("\1ACTION waves at you\1"), &verb, &rest));
    assert_sv(verb, "ACTION");
    assert_sv(rest, "waves at you");
    assert_true(irc_ctcp(SV("\1VERSION"), &verb, &rest));
    assert_sv(verb, "VERSION");
    assert_true(sv_empty(rest));
    assert_false(irc_ctcp(SV("\1\1"), &verb, &rest));
    assert_false(irc_ctcp(SV("\1"), &verb, &rest));
    assert_false(irc_ctcp(SV("plain"), &verb, &rest));
    assert_false(irc_ctcp(SV(""), &verb, &rest));
}

static void plain(const char *in, const char *want)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(4096);
    irc_plain(&b, sv_of(in));
    assert_sv(buf_view(&b), want);
    assert_true(utf8_valid(buf_view(&b)));
}

static void test_text(void **state)
{
    UNUSED(state);
    plain("\2bold\x0f \x1fu\x1f \x03"
          "04,12colour\x03 \x03"
          "5!\x03,x", "bold u colour !,x");
    plain("\x04"
          "ff0000red\x04", "red");
    plain("caf\xc3\xa9", "caf\xc3\xa9");
    plain("caf\xe9", "caf\xc3\xa9"); /* Latin-1 */
    plain("tab\there\x7f", "tab here");
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(4096);
    irc_sanitise(&b, SV("a\r\nQUIT\1\xff"));
    assert_sv(buf_view(&b), "a  QUIT \xef\xbf\xbd");
}

static void test_budget(void **state)
{
    UNUSED(state);
    /* ":" 20 " " "PRIVMSG" " " "#c" " :" = 34 */
    assert_int_equal(irc_budget(20, SV("#c")), IRC_LINE_MAX - 34);
    assert_int_equal(irc_budget(500, SV("#c")), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framing),  cmocka_unit_test(test_oversize_lines_vanish_whole),
        cmocka_unit_test(test_parse),    cmocka_unit_test(test_hostile_lines),
        cmocka_unit_test(test_prefixes), cmocka_unit_test(test_writing),
        cmocka_unit_test(test_names),    cmocka_unit_test(test_masks),
        cmocka_unit_test(test_ctcp),     cmocka_unit_test(test_text),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
