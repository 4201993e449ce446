/*
 * test_irc_reg.c: the way from a connection to 001, with scripted servers.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs a network or the real clock.
 * Tested in: itself.
 */
#include "tests/unit/chan/tests.h"

#include "common/text.h"
#include "workers/chan/drivers/irc_reg.h"

struct fixture {
    struct irc_reg_conf conf;
    struct irc_reg reg;
    struct buf out;
};

static void emit(void *ctx, const char *command, const sv *params, size_t n)
{
    assert_true(irc_put(&((struct fixture *)ctx)->out, command, params, n));
}

static struct fixture fresh(bool sasl)
{
    struct fixture f = {.conf = {.nick = "bot", .username = "bot", .realname = "A bot", .password = "",
                                 .sasl_user = sasl ? "acc" : "", .sasl_password = sasl ? "pw" : "", .sasl = sasl},
                        .out = BUF_INIT(16384)};
    return f;
}

static enum irc_reg_event say(struct fixture *f, const char *line)
{
    struct irc_msg m;
    buf_reset(&f->out);
    assert_int_equal(irc_parse(sv_of(line), &m), OK);
    return irc_reg_line(&f->reg, &m);
}

static void wrote(struct fixture *f, const char *want)
{
    assert_sv(buf_view(&f->out), want);
}

static void test_server_without_capabilities(void **state)
{
    UNUSED(state);
    struct fixture f = fresh(false);
    f.conf.password = "server pass";
    irc_reg_start(&f.reg, &f.conf, emit, &f);
    wrote(&f, "CAP LS :302\r\nPASS :server pass\r\nNICK :bot\r\nUSER bot 0 * :A bot\r\n");
    assert_int_equal(say(&f, ":s 421 bot CAP :Unknown command"), REG_MORE);
    assert_int_equal(say(&f, ":s NOTICE * :hello"), REG_MORE);
    wrote(&f, "");
    assert_int_equal(say(&f, ":s 001 Bot9 :Welcome"), REG_WELCOME);
    assert_string_equal(f.reg.nick, "Bot9");
    buf_free(&f.out);
}

static void test_one_request_per_capability(void **state)
{
    UNUSED(state);
    struct fixture f = fresh(false);
    irc_reg_start(&f.reg, &f.conf, emit, &f);
    assert_int_equal(say(&f, ":s CAP * LS * :multi-prefix sasl=PLAIN,EXTERNAL unknown-cap"), REG_MORE);
    wrote(&f, "");
    assert_int_equal(say(&f, ":s CAP * LS :server-time echo-message"), REG_MORE);
    wrote(&f, "CAP REQ :server-time\r\nCAP REQ :echo-message\r\nCAP REQ :multi-prefix\r\n");
    say(&f, ":s CAP * ACK :server-time");
    say(&f, ":s CAP * NAK :echo-message");
    wrote(&f, "");
    say(&f, ":s CAP * ACK :multi-prefix");
    wrote(&f, "CAP :END\r\n");
    assert_true(f.reg.on[IRC_CAP_SERVER_TIME]);
    assert_false(f.reg.on[IRC_CAP_ECHO_MESSAGE]);
    buf_free(&f.out);
}

static void test_sasl_plain(void **state)
{
    UNUSED(state);
    struct fixture f = fresh(true);
    irc_reg_start(&f.reg, &f.conf, emit, &f);
    say(&f, ":s CAP * LS :sasl");
    wrote(&f, "CAP REQ :sasl\r\n");
    say(&f, ":s CAP bot ACK :sasl");
    wrote(&f, "AUTHENTICATE :PLAIN\r\n");
    say(&f, "AUTHENTICATE +");
    wrote(&f, "AUTHENTICATE :AGFjYwBwdw==\r\n");
    assert_int_equal(say(&f, ":s 900 bot bot!u@h acc :You are now logged in as acc"), REG_MORE);
    assert_int_equal(say(&f, ":s 903 bot :SASL authentication successful"), REG_MORE);
    wrote(&f, "CAP :END\r\n");
    assert_true(f.reg.sasl_done);
    buf_free(&f.out);
}

static void test_sasl_failures(void **state)
{
    UNUSED(state);
    struct fixture f = fresh(true);
    irc_reg_start(&f.reg, &f.conf, emit, &f);
    assert_int_equal(say(&f, ":s CAP * LS :multi-prefix"), REG_MORE);
    assert_int_equal(say(&f, ":s CAP * ACK :multi-prefix"), REG_NO_SASL);
    irc_reg_start(&f.reg, &f.conf, emit, &f);
    assert_int_equal(say(&f, ":s 904 bot :SASL authentication failed"), REG_REFUSED);
    assert_string_equal(f.reg.why, "SASL login failed: SASL authentication failed");
    assert_int_equal(say(&f, ":s 906 bot :aborted"), REG_BROKEN);
    assert_int_equal(say(&f, ":s 464 bot :Password incorrect"), REG_REFUSED);
    assert_int_equal(say(&f, ":s 465 bot :You are banned"), REG_REFUSED);
    assert_int_equal(say(&f, "ERROR :Closing Link"), REG_BROKEN);
    assert_null(strstr(f.reg.why, "pw"));
    buf_free(&f.out);
}

static void test_long_credentials_go_in_pieces(void **state)
{
    UNUSED(state);
    static char pw[600];
    for (size_t len = 294; len <= 598; len++) {
        struct fixture f = fresh(true);
        memset(pw, 'p', len);
        pw[len] = '\0';
        f.conf.sasl_password = pw;
        irc_reg_start(&f.reg, &f.conf, emit, &f);
        say(&f, "AUTHENTICATE +");
        size_t total = (5 + len + 2) / 3 * 4; /* base64 of \0acc\0 and the password */
        size_t lines = 0;
        sv rest = buf_view(&f.out), last = SV_NULL;
        while (!sv_empty(rest)) {
            last = sv_trim(sv_cut(&rest, '\n'));
            lines++;
        }
        assert_int_equal(lines, total / 400 + 1);
        if (total % 400 == 0) {
            assert_sv(last, "AUTHENTICATE :+");
        }
        buf_free(&f.out);
    }
}

static void test_external(void **state)
{
    UNUSED(state);
    struct fixture f = fresh(true);
    f.conf.sasl_external = true;
    irc_reg_start(&f.reg, &f.conf, emit, &f);
    say(&f, ":s CAP * LS :sasl");
    say(&f, ":s CAP * ACK :sasl");
    wrote(&f, "AUTHENTICATE :EXTERNAL\r\n");
    say(&f, "AUTHENTICATE +");
    wrote(&f, "AUTHENTICATE :+\r\n");
    buf_free(&f.out);
}

static void test_taken_nick(void **state)
{
    UNUSED(state);
    struct fixture f = fresh(false);
    irc_reg_start(&f.reg, &f.conf, emit, &f);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(say(&f, ":s 433 * bot :Nickname is already in use"), REG_NICK_TAKEN);
        irc_reg_retry_nick(&f.reg);
        wrote(&f, "NICK :bot\r\n"); /* our former connection may still be there for a moment */
    }
    assert_int_equal(say(&f, ":s 433 * bot :Nickname is already in use"), REG_NICK_TAKEN);
    irc_reg_retry_nick(&f.reg);
    wrote(&f, "NICK :bot_\r\n");
    say(&f, ":s 433 * bot_ :Nickname is already in use");
    irc_reg_retry_nick(&f.reg);
    wrote(&f, "NICK :bot__\r\n");
    enum irc_reg_event e = REG_MORE;
    for (int i = 0; i < 20 && e != REG_BROKEN; i++) {
        e = say(&f, ":s 433 * x :Nickname is already in use");
        if (e == REG_NICK_TAKEN) {
            irc_reg_retry_nick(&f.reg);
        }
    }
    assert_int_equal(e, REG_BROKEN);
    irc_reg_start(&f.reg, &f.conf, emit, &f);
    assert_int_equal(say(&f, ":s 432 * bot :Erroneous nickname"), REG_REFUSED);
    buf_free(&f.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_without_capabilities),
        cmocka_unit_test(test_one_request_per_capability),
        cmocka_unit_test(test_sasl_plain),
        cmocka_unit_test(test_sasl_failures),
        cmocka_unit_test(test_long_credentials_go_in_pieces),
        cmocka_unit_test(test_external),
        cmocka_unit_test(test_taken_nick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
