/*
 * test_conf_check.c: rules over several settings, and secrets.
 * Runs in: unit tests.     Owns: nothing.
 * Never: touches files outside its scratch folder.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/err.h"
#include "tests/unit/supervisor/conf_fixture.h"

static void verdict(const char *text, const char *want)
{
    struct cfg c;

    fixture_load(&c, text);
    assert_string_equal(buf_cstr(&c.errors), "");
    cfg_resolve_secrets(&c);
    cfg_check(&c);
    const char *said = buf_cstr(&c.errors);
    if (want == NULL) {
        assert_string_equal(said, "");
    } else if (strstr(said, want) == NULL) {
        fail_msg("wanted: %s\nsaid: %s", want, said);
    }
    cfg_free(&c);
}

#define IRC(more) "channels = { irc = { host = \"h\"; nick = \"n\"; " more " }; };"

static void policies(void **state)
{
    (void)state;
    verdict(IRC(""), NULL);
    verdict(IRC("dmPolicy = \"open\";"), "channels.irc.dmPolicy: open needs allowFrom = [ \"*\" ]");
    verdict(IRC("dmPolicy = \"open\"; allowFrom = [ \"x\" ];"), "open needs allowFrom");
    verdict(IRC("dmPolicy = \"open\"; allowFrom = [ \"*\" ];"), NULL);
    verdict(IRC("dmPolicy = \"allowlist\";"), "allowlist needs at least one id");
    verdict(IRC("dmPolicy = \"allowlist\"; allowFrom = [ ];"), "allowlist needs at least one id");
    verdict(IRC("dmPolicy = \"allowlist\"; accounts = { a = { allowFrom = [ \"me\" ]; }; };"), NULL);
}

static void required_keys(void **state)
{
    (void)state;
    verdict("channels = { irc = { nick = \"n\"; }; };", "channels.irc (account default): host is missing");
    verdict("channels = { irc = { accounts = { a = { }; b = { }; }; host = \"h\"; }; };",
            "channels.irc (account b): nick is missing");
    verdict("channels = { webhook = { }; };", "channels.webhook (account default): secret or bearer is missing");
    verdict("channels = { webhook = { enabled = false; }; };", NULL);
    verdict("channels = { webhook = { bearer = \"0123456789\"; }; };", NULL);
}

static void one_credential_one_account(void **state)
{
    (void)state;
    verdict(IRC("accounts = { a = { }; b = { }; };"), "the same host, port and login as account a");
    verdict(IRC("accounts = { a = { }; b = { nick = \"m\"; }; };"), NULL);
    verdict(IRC("accounts = { a = { }; b = { enabled = false; }; };"), NULL);
    verdict("channels = { webhook = { accounts = { a = { secret = \"12345678\"; }; b = { secret = \"12345678\"; }; }; }; };",
            "the same secret as account a");
}

static void no_open_door(void **state)
{
    (void)state;
    verdict("edge = { auth = { mode = \"none\"; }; };", NULL);
    verdict("edge = { auth = { mode = \"password\"; password = \"12345678\"; }; };", NULL);
    verdict("edge = { auth = { mode = \"password\"; }; };", "edge.auth.password: mode password needs a password");
    verdict("edge = { bind = \"127.0.0.2\"; auth = { mode = \"none\"; }; };", NULL);
    verdict("edge = { bind = \"::1\"; };", NULL);
    verdict("edge = { bind = \"eth0\"; };", "edge.bind: \"eth0\" is neither loopback nor lan nor an IP address");
    verdict("edge = { bind = \"lan\"; auth = { mode = \"none\"; }; };", "edge.auth.mode: none is possible only");
    verdict("edge = { bind = \"0.0.0.0\"; auth = { mode = \"none\"; }; };", "edge.auth.mode: none is possible only");
}

static void addresses(void **state)
{
    (void)state;
    verdict("models = { providers = { p = { baseUrl = \"ftp://x/y\"; }; }; };", "http:// or https:// is wanted");
}

static void secrets(void **state)
{
    (void)state;
    setenv("TENAZA_TEST_SECRET", "from-the-environment", 1);
    unsetenv("TENAZA_TEST_ABSENT");
    verdict("channels = { webhook = { secret = \"env:TENAZA_TEST_SECRET\"; }; };", NULL);
    verdict("channels = { webhook = { secret = \"env:TENAZA_TEST_ABSENT\"; }; };",
            "channels.webhook.secret: the environment has no TENAZA_TEST_ABSENT");
    verdict("channels = { webhook = { enabled = false; secret = \"env:TENAZA_TEST_ABSENT\"; }; };", NULL);
    verdict("channels = { webhook = { accounts = { a = { enabled = false; secret = \"env:TENAZA_TEST_ABSENT\"; }; "
            "b = { secret = \"12345678\"; }; }; }; };",
            NULL);
    verdict("channels = { webhook = { secret = \"file:/nonexistent/x\"; }; };",
            "/nonexistent/x cannot be read: No such file");
    verdict("channels = { webhook = { secret = \"cred:x\"; }; };", "cred: works under systemd");
    verdict("channels = { webhook = { secret = \"short\"; }; };", "the secret has 5 characters, possible: 8 to 512");
}

static void secret_files_are_trimmed(void **state)
{
    char path[] = "/tmp/tenaza-secret-XXXXXX";
    char text[200];
    struct cfg c;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0 && write(fd, "  a-long-secret\n", 16) == 16);
    close(fd);
    snprintf(text, sizeof text, "channels = { webhook = { secret = \"file:%s\"; }; };", path);
    fixture_load(&c, text);
    cfg_resolve_secrets(&c);
    assert_string_equal(cfg_str(&c, "channels.webhook.secret"), "a-long-secret");
    cfg_free(&c);
    unlink(path);
}

static void plain_secrets_in_open_files_are_warned_about(void **state)
{
    struct cfg c;
    const char *text = "channels = { webhook = { secret = \"12345678\"; }; };";

    (void)state;
    fixture_load_mode(&c, text, NULL, 0644);
    cfg_resolve_secrets(&c);
    assert_non_null(strstr(buf_cstr(&c.warnings), "everybody can read"));
    assert_null(strstr(buf_cstr(&c.warnings), "12345678"));
    cfg_free(&c);
    fixture_load_mode(&c, text, NULL, 0600);
    cfg_resolve_secrets(&c);
    assert_string_equal(buf_cstr(&c.warnings), "");
    cfg_free(&c);
}

static void the_token_is_made_once(void **state)
{
    char dir[] = "/tmp/tenaza-token-XXXXXX";
    char path[64];
    struct cfg c;
    struct stat st;
    char *first;
    char *second;
    bool made;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/gateway.token", dir);
    cfg_init(&c);
    assert_int_equal(cfg_gateway_token(&c, dir, false, &first, &made), ERR_GONE);
    assert_int_equal(cfg_gateway_token(&c, dir, true, &first, &made), 0);
    assert_true(made);
    assert_int_equal(strlen(first), 48);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(cfg_gateway_token(&c, dir, true, &second, &made), 0);
    assert_false(made);
    assert_string_equal(first, second);
    xfree(first);
    xfree(second);
    assert_int_equal(file_replace(path, SV("short\n"), 0600), 0);
    assert_int_equal(cfg_gateway_token(&c, dir, true, &first, &made), ERR_PARSE);
    unlink(path);
    rmdir(dir);
    cfg_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies),
        cmocka_unit_test(required_keys),
        cmocka_unit_test(one_credential_one_account),
        cmocka_unit_test(no_open_door),
        cmocka_unit_test(addresses),
        cmocka_unit_test(secrets),
        cmocka_unit_test(secret_files_are_trimmed),
        cmocka_unit_test(plain_secrets_in_open_files_are_warned_about),
        cmocka_unit_test(the_token_is_made_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
