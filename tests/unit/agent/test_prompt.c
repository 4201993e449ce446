/*
 * test_prompt.c: the system prompt.
 * Runs in: unit tests.     Owns: nothing.
 * Never: uses the network.
 * Tested in: this is the test.
 */
#include "tests/unit/agent/unit.h"

#include "agent/prompt.h"

static struct prompt_facts facts(void)
{
    return (struct prompt_facts){.agent_id = SV("main"), .session_key = SV("agent:main:main"), .channel = SV("webchat"), .lane = SV("main"),
                                 .provider = "ollama", .model = "qwen3:8b", .zone = "UTC", .now_ms = 1795197146000, .tools = true};
}

static bool has(void (*fn)(const struct prompt_facts *, struct buf *), const struct prompt_facts *f, const char *part)
{
    struct buf b = BUF_INIT(100000);
    fn(f, &b);
    assert_true(b.n < 6000); /* agent-runtime.md 5.4 */
    bool found = sv_find(buf_view(&b), sv_of(part)) >= 0;
    buf_free(&b);
    return found;
}

static void stable_part(void **state)
{
    (void)state;
    struct prompt_facts f = facts();
    assert_true(has(prompt_stable, &f, "You are Tenaza"));
    assert_true(has(prompt_stable, &f, "- current_time: "));
    assert_true(has(prompt_stable, &f, "Friday 2026-11-20, time zone UTC"));
    assert_false(has(prompt_stable, &f, "17:52")); /* the hour would spoil the cache of the prefix */
    assert_true(has(prompt_stable, &f, "never claim to have done"));
    f.tools = false;
    f.name = "Animalia";
    f.own_prompt = "Speak of animals.";
    assert_false(has(prompt_stable, &f, "## Tooling"));
    assert_true(has(prompt_stable, &f, "You are Animalia"));
    assert_true(has(prompt_stable, &f, "Speak of animals."));
}

static void volatile_part(void **state)
{
    (void)state;
    struct prompt_facts f = facts();
    assert_true(has(prompt_volatile, &f, "renders markdown"));
    assert_true(has(prompt_volatile, &f, "model=ollama/qwen3:8b"));
    assert_true(has(prompt_volatile, &f, "\"chat_type\":\"direct\""));
    assert_false(has(prompt_volatile, &f, "NO_REPLY"));
    assert_false(prompt_may_be_silent(&f));
    f.channel = SV("irc");
    f.session_key = SV("agent:main:irc:channel:#x");
    f.lane = SV("cron");
    f.extra_system = SV("Be brief.");
    assert_true(has(prompt_volatile, &f, "no markdown"));
    assert_true(has(prompt_volatile, &f, "\"chat_type\":\"group\""));
    assert_true(has(prompt_volatile, &f, "NO_REPLY"));
    assert_true(has(prompt_volatile, &f, "Be brief."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stable_part), cmocka_unit_test(volatile_part)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
