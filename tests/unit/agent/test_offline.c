/*
 * test_offline.c: what the offline responder says, in two languages.
 * Runs in: unit tests.     Owns: nothing.
 * Never: uses the network.
 * Tested in: this is the test.
 */
#include "tests/unit/agent/unit.h"

#include "agent/provider/offline.h"

static bool spanish;

static void check(const char *text, const char *part)
{
    struct offline_req q = {.text = sv_of(text), .date = "Friday 2026-11-20", .time = "18:04:31", .zone = "Europe/Madrid",
                            .session = "agent:main:main", .agent = "main", .hint = "nothing found", .spanish = spanish};
    struct buf b = BUF_INIT(100000);
    offline_answer(&q, &b);
    if (!sv_starts(buf_view(&b), SV("[offline] ")) || sv_find(buf_view(&b), sv_of(part)) < 0) {
        fail_msg("\"%s\" -> \"%.*s\", which lacks \"%s\"", text, SV_ARG(buf_view(&b)), part);
    }
    buf_free(&b);
}

static void english(void **state)
{
    (void)state;
    spanish = false;
    check("What time is it?", "It is 18:04:31 on Friday 2026-11-20 (Europe/Madrid).");
    check("help", "not a language model");
    check("/status", "agent:main:main");
    check("status", "nothing found");
    check("what is 2+2?", "2+2 = 4");
    check("What is (3 + 4) * 2.5 ?", "= 17.5");
    check("1,000 * 2", "= 2000");
    check("7/0", "Division by zero");
    check("12", "I am not a language model and cannot answer that"); /* a number is no question */
    check("how do I add a model?", "ollama pull");
    check("who are you", "self-hosted gateway");
    check("hello", "Hello!");
    check("Write a poem about the sea", "cannot answer that");
    check("Write a poem about the sea", "ANTHROPIC_API_KEY");
    check("", "cannot answer that");
    check("sometimes I update things", "cannot answer that"); /* "time" and "date" only as words */
}

static void in_spanish(void **state)
{
    (void)state;
    spanish = false;
    check("\xc2\xbfqu\xc3\xa9 hora es?", "Son las 18:04:31");
    check("hola", "\xc2\xa1Hola!");
    check("\xc2\xbf" "Cu\xc3\xa1nto es 2,5 * 4?", "= 10");
    check("ayuda", "No soy un modelo de lenguaje");
    check("c\xc3\xb3mo a\xc3\xb1" "ado un modelo", "ollama pull");
    spanish = true;
    check("xyzzy", "No soy un modelo de lenguaje");
    check("what is the status", "works"); /* the text decides before the setting */
    check("2+2", "= 4");
}

static void long_input(void **state)
{
    (void)state;
    static char text[200000];
    memset(text, 'a', sizeof text - 1);
    spanish = false;
    check(text, "cannot answer that");
    memset(text, '(', sizeof text - 1);
    check(text, "cannot answer that");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(english), cmocka_unit_test(in_spanish), cmocka_unit_test(long_input)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
