/*
 * test_fmt_plain.c: markdown as plain text.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs a network or the real clock.
 * Tested in: itself.
 */
#include "tests/unit/chan/tests.h"

#include "workers/chan/fmt_plain.h"

static void test_table(void **state)
{
    UNUSED(state);
    static const struct {
        const char *md, *plain;
    } cases[] = {
        {"", ""},
        {"plain words", "plain words"},
        {"**bold** and *italic* and ***both***", "bold and italic and both"},
        {"__bold__ _italic_ ~~gone~~", "bold italic gone"},
        {"a * b * c", "a * b * c"},
        {"2*3*4", "234"}, /* as every markdown reader shows it */
        {"snake_case_name and a_b", "snake_case_name and a_b"},
        {"# Title #", "Title"},
        {"###### Deep", "Deep"},
        {"#hashtag", "#hashtag"},
        {"[docs](https://example.org/x)", "docs (https://example.org/x)"},
        {"[https://a.b](https://a.b)", "https://a.b"},
        {"![a cat](http://c.d/e.png \"t\")", "a cat (http://c.d/e.png)"},
        {"[not a link] (x)", "[not a link] (x)"},
        {"see [**bold** text](u)", "see bold text (u)"},
        {"run `ls -l *` now", "run `ls -l *` now"},
        {"``a ` b``", "`a ` b`"},
        {"```c\nint *p = **q;\n```\nafter", "int *p = **q;\nafter"},
        {"* one\n+ two\n- three", "- one\n- two\n- three"},
        {"  * nested", "  - nested"},
        {"---", "----"},
        {"\\*stars\\* and \\_", "*stars* and _"},
        {"> quote", "> quote"},
        {"open **never closed", "open **never closed"},
        {"open `never closed", "open `never closed"},
        {"a\r\nb", "a\nb"},
        {"5 ** 3", "5 ** 3"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(4096);
        fmt_plain(&b, sv_of(cases[i].md));
        assert_sv(buf_view(&b), cases[i].plain);
    }
}

/* Nothing but marks must not take quadratic time or deep recursion. */
static void test_hostile_lines_end(void **state)
{
    UNUSED(state);
    static const char *const units[] = {"[", "*a", "`", "_x_", "**", "![](", "*_", "\\"};
    for (size_t u = 0; u < ARRAY_LEN(units); u++) {
        struct buf in ATTR_CLEANUP(buf_free) = BUF_INIT(200000);
        struct buf out ATTR_CLEANUP(buf_free) = BUF_INIT(2000000);
        while (buf_str(&in, units[u])) {
        }
        fmt_plain(&out, buf_view(&in));
        assert_false(out.full);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_hostile_lines_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
