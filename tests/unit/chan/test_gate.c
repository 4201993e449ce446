/*
 * test_gate.c: every policy against every kind of sender.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs a network or the real clock.
 * Tested in: itself.
 */
#include "tests/unit/chan/tests.h"

#include "workers/chan/gate.h"

static const char *const star[] = {"*"};
static const char *const anna[] = {"anna"};
static const char *const both[] = {"anna", "*"};
static const char *const room1[] = {"#one"};

#define LIST(a) ((struct gate_list){(a), ARRAY_LEN(a)})
#define NOBODY ((struct gate_list){NULL, 0})

static enum gate_verdict ask(const struct gate_policy *p, struct gate_input in)
{
    const char *why = NULL;
    enum gate_verdict v = gate_decide(p, &in, &why);
    assert_non_null(why);
    return v;
}

static void test_direct(void **state)
{
    UNUSED(state);
    const struct {
        enum dm_policy dm;
        struct gate_list allow;
        const char *sender;
        enum gate_verdict want;
    } cases[] = {
        {DM_PAIRING,   NOBODY,     "anna", GATE_PAIR },
        {DM_PAIRING,   LIST(anna), "anna", GATE_ALLOW},
        {DM_PAIRING,   LIST(anna), "ben",  GATE_PAIR },
        {DM_PAIRING,   LIST(star), "ben",  GATE_PAIR }, /* "*" does not open a paired account */
        {DM_PAIRING,   LIST(anna), "",     GATE_PAIR },
        {DM_ALLOWLIST, LIST(anna), "anna", GATE_ALLOW},
        {DM_ALLOWLIST, LIST(anna), "Anna", GATE_DROP },
        {DM_ALLOWLIST, LIST(anna), "ben",  GATE_DROP },
        {DM_ALLOWLIST, NOBODY,     "anna", GATE_DROP },
        {DM_ALLOWLIST, LIST(both), "ben",  GATE_ALLOW},
        {DM_OPEN,      LIST(star), "ben",  GATE_ALLOW},
        {DM_OPEN,      NOBODY,     "ben",  GATE_DROP },
        {DM_OPEN,      LIST(anna), "ben",  GATE_DROP },
        {DM_OPEN,      LIST(anna), "anna", GATE_ALLOW},
        {DM_DISABLED,  LIST(star), "anna", GATE_DROP },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gate_policy p = {.dm = cases[i].dm, .allow_from = cases[i].allow};
        struct gate_input in = {.direct = true, .sender_id = sv_of(cases[i].sender), .chat_id = SV("x")};
        if (ask(&p, in) != cases[i].want) {
            fail_msg("direct case %zu", i);
        }
    }
}

static void test_groups(void **state)
{
    UNUSED(state);
    const struct {
        enum group_policy policy;
        struct gate_list groups, group_allow, allow;
        const char *chat, *sender;
        bool addressed;
        enum gate_verdict want;
    } cases[] = {
        {GROUP_DISABLED,  NOBODY,      LIST(star), NOBODY,     "#one", "anna", true,  GATE_DROP   },
        {GROUP_OPEN,      NOBODY,      NOBODY,     NOBODY,     "#one", "ben",  true,  GATE_ALLOW  },
        {GROUP_OPEN,      NOBODY,      NOBODY,     NOBODY,     "#one", "ben",  false, GATE_CONTEXT},
        {GROUP_OPEN,      LIST(room1), NOBODY,     NOBODY,     "#two", "ben",  true,  GATE_DROP   },
        {GROUP_OPEN,      LIST(room1), NOBODY,     NOBODY,     "#one", "ben",  true,  GATE_ALLOW  },
        {GROUP_OPEN,      LIST(star),  NOBODY,     NOBODY,     "#two", "ben",  true,  GATE_ALLOW  },
        {GROUP_ALLOWLIST, NOBODY,      NOBODY,     NOBODY,     "#one", "anna", true,  GATE_DROP   },
        {GROUP_ALLOWLIST, NOBODY,      NOBODY,     LIST(anna), "#one", "anna", true,  GATE_ALLOW  },
        {GROUP_ALLOWLIST, NOBODY,      LIST(star), NOBODY,     "#one", "ben",  true,  GATE_ALLOW  },
        {GROUP_ALLOWLIST, NOBODY,      LIST(anna), LIST(star), "#one", "ben",  true,  GATE_DROP   },
        {GROUP_ALLOWLIST, LIST(room1), LIST(anna), NOBODY,     "#one", "anna", false, GATE_CONTEXT},
        {GROUP_ALLOWLIST, LIST(room1), LIST(anna), NOBODY,     "#one", "ben",  false, GATE_DROP   },
        {GROUP_ALLOWLIST, LIST(room1), LIST(anna), NOBODY,     "#two", "anna", true,  GATE_DROP   },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gate_policy p = {.group = cases[i].policy,
                                .groups = cases[i].groups,
                                .group_allow_from = cases[i].group_allow,
                                .allow_from = cases[i].allow,
                                .require_mention = true,
                                .can_mention = true};
        struct gate_input in = {.sender_id = sv_of(cases[i].sender),
                                .chat_id = sv_of(cases[i].chat),
                                .addressed = cases[i].addressed};
        if (ask(&p, in) != cases[i].want) {
            fail_msg("group case %zu", i);
        }
    }
}

static void test_mention_gate(void **state)
{
    UNUSED(state);
    struct gate_policy p = {.group = GROUP_OPEN, .require_mention = true, .can_mention = true};
    struct gate_input in = {.sender_id = SV("ben"), .chat_id = SV("#one")};
    assert_int_equal(ask(&p, in), GATE_CONTEXT);
    in.command = true; /* "/stop" speaks to us */
    assert_int_equal(ask(&p, in), GATE_ALLOW);
    in.command = false;
    p.require_mention = false;
    assert_int_equal(ask(&p, in), GATE_ALLOW);
    p.require_mention = true;
    p.can_mention = false; /* nothing could ever match: the gate is off */
    assert_int_equal(ask(&p, in), GATE_ALLOW);
}

static void test_ourselves_bots_and_age(void **state)
{
    UNUSED(state);
    struct gate_policy p = {.dm = DM_OPEN, .allow_from = LIST(star), .group = GROUP_OPEN, .max_age_ms = 900000};
    struct gate_input in = {.direct = true, .sender_id = SV("ben"), .chat_id = SV("c")};
    assert_int_equal(ask(&p, in), GATE_ALLOW);
    in.self = true;
    assert_int_equal(ask(&p, in), GATE_DROP);
    in.self = false;
    in.bot = true;
    assert_int_equal(ask(&p, in), GATE_DROP);
    in.bot = false;
    in.age_ms = 900000;
    assert_int_equal(ask(&p, in), GATE_ALLOW);
    in.age_ms = 900001;
    assert_int_equal(ask(&p, in), GATE_DROP);
    in.direct = false;
    assert_int_equal(ask(&p, in), GATE_CONTEXT);
    p.max_age_ms = 0;
    assert_int_equal(ask(&p, in), GATE_ALLOW);
}

static bool same_first(const void *ctx, sv entry, sv id)
{
    assert_ptr_equal(ctx, star);
    return entry.p[0] == id.p[0];
}

static void test_own_idea_of_equality(void **state)
{
    UNUSED(state);
    struct gate_policy p = {
        .dm = DM_ALLOWLIST, .allow_from = LIST(anna), .match_sender = same_first, .match_ctx = star};
    struct gate_input in = {.direct = true, .sender_id = SV("alice"), .chat_id = SV("c")};
    assert_int_equal(ask(&p, in), GATE_ALLOW);
    in.sender_id = SV("ben");
    assert_int_equal(ask(&p, in), GATE_DROP);
}

static void test_names(void **state)
{
    UNUSED(state);
    assert_int_equal(gate_dm_policy("open"), DM_OPEN);
    assert_int_equal(gate_dm_policy("allowlist"), DM_ALLOWLIST);
    assert_int_equal(gate_dm_policy("disabled"), DM_DISABLED);
    assert_int_equal(gate_dm_policy("nonsense"), DM_PAIRING);
    assert_int_equal(gate_dm_policy(NULL), DM_PAIRING);
    assert_int_equal(gate_group_policy("open"), GROUP_OPEN);
    assert_int_equal(gate_group_policy("disabled"), GROUP_DISABLED);
    assert_int_equal(gate_group_policy(NULL), GROUP_ALLOWLIST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_direct),         cmocka_unit_test(test_groups),
        cmocka_unit_test(test_mention_gate),   cmocka_unit_test(test_ourselves_bots_and_age),
        cmocka_unit_test(test_own_idea_of_equality), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
