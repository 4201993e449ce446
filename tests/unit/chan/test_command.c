/*
 * test_command.c: control commands and stop phrases.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs a network or the real clock.
 * Tested in: itself.
 */
#include "tests/unit/chan/tests.h"

#include "workers/chan/command.h"

static void check(const char *text, const char *want, bool want_slash)
{
    bool slash = !want_slash;
    const char *got = command_of(sv_of(text), &slash);
    if (!got != !want || (got && strcmp(got, want) != 0) || slash != want_slash) {
        fail_msg("\"%s\": got %s, wanted %s", text, got ? got : "nothing", want ? want : "nothing");
    }
}

static void test_slash_commands(void **state)
{
    UNUSED(state);
    check("/stop", "stop", true);
    check("  /STOP \n", "stop", true);
    check("/new", "new", true);
    check("/reset", "new", true);
    check("/new topic please", NULL, false);
    check("/stopwatch", NULL, false);
    check("/", NULL, false);
}

static void test_phrases(void **state)
{
    UNUSED(state);
    check("stop", "stop", false);
    check("Stop!!!", "stop", false);
    check("  Please stop. ", "stop", false);
    check("DETÉN", "stop", false);
    check("СТОП", "stop", false);
    check("停止。", "stop", false);
    check("Aufhören…", "stop", false);
    check("stop the car", NULL, false);
    check("don't stop", NULL, false);
    check("", NULL, false);
    check("...", NULL, false);
    check("stop\xff", NULL, false);
    check("stop .................................................................................", NULL, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slash_commands),
        cmocka_unit_test(test_phrases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
