/*
 * test_conf_schema.c: matching of paths, nearest names, soundness of the rows, freshness of docs/config.md.
 * Runs in: unit tests.     Owns: nothing.
 * Never: writes docs/config.md (tenaza config schema --markdown does).
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/file.h"
#include "supervisor/conf_schema.h"
#include "supervisor/conf_tree.h"

static void finds_rows(void **state)
{
    (void)state;
    assert_non_null(conf_row_find("edge.port"));
    assert_non_null(conf_row_find("channels.irc.accounts.home.sasl.user"));
    assert_non_null(conf_row_find("models.providers.local.models.0.id"));
    assert_null(conf_row_find("models.providers.local.models.x.id"));
    assert_null(conf_row_find("edge"));
    assert_null(conf_row_find("edge.port.more"));
    assert_null(conf_row_find("edge.Port"));
}

static void knows_what_may_stand_where(void **state)
{
    (void)state;
    assert_int_equal(conf_path_kind("edge.port"), CP_VALUE);
    assert_int_equal(conf_path_kind("edge"), CP_GROUP);
    assert_int_equal(conf_path_kind("agents.entries"), CP_IDS);
    assert_int_equal(conf_path_kind("models.providers.x.models"), CP_INDEX);
    assert_int_equal(conf_path_kind("edgy"), 0);
}

static void suggestion(const char *path, const char *want)
{
    struct buf b = BUF_INIT(8192);
    conf_suggest(path, &b);
    assert_string_equal(buf_cstr(&b), want);
    buf_free(&b);
}

static void suggests(void **state)
{
    (void)state;
    suggestion("edge.prot", ", did you mean edge.port?");
    suggestion("edgee", ", did you mean edge?");
    suggestion("edge.debounceMs", ", did you mean messages.queue.debounceMs?");
    suggestion("channels.irc.accounts.home.hots", ", did you mean channels.irc.accounts.home.host?");
    suggestion("channels.telegram", ", known in channels: irc, webhook");
}

static void measures_distance(void **state)
{
    (void)state;
    assert_int_equal(conf_distance("port", "port", 3), 0);
    assert_int_equal(conf_distance("prot", "port", 3), 1);
    assert_int_equal(conf_distance("", "abc", 3), 3);
    assert_int_equal(conf_distance("abc", "xyz", 2), 3);
}

/* Every default must pass the rules of its own row. */
static void defaults_are_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < conf_rows_n; i++) {
        const struct conf_row *r = &conf_rows[i];
        struct cfg c;
        struct cfg_value scratch;
        char path[256];
        size_t n = 0;

        cfg_init(&c);
        for (const char *p = r->path; *p; p++) {
            path[n++] = *p == '*' ? 'x' : *p == '#' ? '0' : *p;
        }
        path[n] = '\0';
        assert_ptr_equal(conf_row_find(path), r);
        assert_true(r->min <= r->max && r->doc[0] != '\0');
        const struct cfg_value *v = cfg_get(&c, path, &scratch);
        if (v != NULL && (r->type == CT_INT || r->type == CT_DURATION || r->type == CT_SIZE)) {
            assert_true(v->i >= r->min && v->i <= r->max);
        }
        if (v != NULL && r->choices != NULL) {
            assert_true(conf_choice_ok(r->choices, v->s));
        }
        cfg_free(&c);
    }
}

static void manual_is_fresh(void **state)
{
    struct buf want = BUF_INIT(1 << 20);
    struct buf have = BUF_INIT(1 << 20);

    (void)state;
    conf_doc(&want);
    assert_int_equal(file_read(SOURCE_ROOT "/docs/config.md", &have), 0);
    if (strcmp(buf_cstr(&want), buf_cstr(&have)) != 0) {
        fail_msg("docs/config.md is stale: build/tenaza config schema --markdown > docs/config.md");
    }
    buf_free(&want);
    buf_free(&have);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_rows),        cmocka_unit_test(knows_what_may_stand_where),
        cmocka_unit_test(suggests),          cmocka_unit_test(measures_distance),
        cmocka_unit_test(defaults_are_valid), cmocka_unit_test(manual_is_fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
