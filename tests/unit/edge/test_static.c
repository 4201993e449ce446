/*
 * test_static.c: the embedded files and their tags.
 * Runs in: unit tests.     Owns: nothing.
 * Never: compares content byte by byte with the tree (the build made it from there).
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "workers/edge/edge.h"
#include "workers/edge/static.h"

static void test_files(void **state)
{
    UNUSED(state);
    struct edge e = {.conf = {.ui = true}};
    const struct web_file *index = static_find(&e, SV("/"));
    assert_non_null(index);
    assert_true(sv_find(sv_mem(index->data, index->n), SV("<!doctype html>")) >= 0 ||
                sv_find(sv_mem(index->data, index->n), SV("<!DOCTYPE html>")) >= 0);
    /* No inline script or style: the content security policy would refuse it. */
    assert_true(sv_find(sv_mem(index->data, index->n), SV("<style")) < 0);
    assert_true(sv_find(sv_mem(index->data, index->n), SV("<script>")) < 0);
    for (const struct web_file *f = web_files; f->url != NULL; f++) {
        assert_true(f->n > 0);
        assert_true(f->url[0] == '/');
        assert_int_equal(strlen(f->etag), 18);
    }
    assert_null(static_find(&e, SV("/../etc/passwd")));
    assert_null(static_find(&e, SV("/index")));
    e.conf.ui = false;
    assert_null(static_find(&e, SV("/")));
}

static void test_tags(void **state)
{
    UNUSED(state);
    assert_true(etag_matches(SV("\"a\""), "\"a\""));
    assert_true(etag_matches(SV("\"b\", W/\"a\""), "\"a\""));
    assert_true(etag_matches(SV("*"), "\"a\""));
    assert_false(etag_matches(SV("\"ab\""), "\"a\""));
    assert_false(etag_matches(SV(""), "\"a\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
