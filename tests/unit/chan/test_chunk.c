/*
 * test_chunk.c: splitting of texts.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs a network or the real clock.
 * Tested in: itself.
 */
#include "tests/unit/chan/tests.h"

#include "common/text.h"
#include "workers/chan/chunk.h"

static size_t split(const char *text, struct chunk_opts o, struct arena *a, sv **parts)
{
    return chunk_split(sv_of(text), &o, a, parts);
}

static void test_short_and_empty(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    sv *p = NULL;
    assert_int_equal(split("", (struct chunk_opts){.limit = 100}, &a, &p), 0);
    assert_int_equal(split(" \n\n ", (struct chunk_opts){.limit = 100}, &a, &p), 0);
    assert_int_equal(split("hello\n", (struct chunk_opts){.limit = 100}, &a, &p), 1);
    assert_sv(p[0], "hello");
    assert_int_equal(split("no limit at all", (struct chunk_opts){.limit = 0}, &a, &p), 1);
    arena_free(&a);
}

static void test_preferences(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    sv *p = NULL;
    struct chunk_opts o = {.limit = 64};
    /* a paragraph beats the line end, sentence and space behind it */
    size_t n = split("First paragraph of the text here.\n\nSecond one. It goes on\nand on for quite a while.", o, &a, &p);
    assert_int_equal(n, 2);
    assert_sv(p[0], "First paragraph of the text here.");
    assert_sv(p[1], "Second one. It goes on\nand on for quite a while.");
    n = split("A line that is long enough to matter\nanother one. With a sentence and more words", o, &a, &p);
    assert_sv(p[0], "A line that is long enough to matter");
    n = split("One sentence that is long enough here. Another that runs over the limit of it", o, &a, &p);
    assert_int_equal(n, 2);
    assert_sv(p[0], "One sentence that is long enough here.");
    n = split("word word word word word word word word word word word word word word word", o, &a, &p);
    assert_int_equal(n, 2);
    assert_sv(p[0], "word word word word word word word word word word word word word");
    arena_free(&a);
}

static void test_hard_cut_keeps_sequences_whole(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(4096);
    for (int i = 0; i < 100; i++) {
        buf_str(&b, "\xf0\x9f\xa6\x80"); /* four bytes, two UTF-16 units */
    }
    static const struct {
        enum chunk_unit unit;
        size_t want;
    } cases[] = {{CHUNK_BYTES, 7}, {CHUNK_UTF16, 4}, {CHUNK_CODEPOINTS, 2}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        sv *p = NULL;
        struct chunk_opts o = {.limit = 65, .unit = cases[i].unit};
        size_t n = chunk_split(buf_view(&b), &o, &a, &p), total = 0;
        assert_int_equal(n, cases[i].want);
        for (size_t k = 0; k < n; k++) {
            assert_true(utf8_valid(p[k]));
            assert_true(chunk_measure(p[k], o.unit) <= o.limit);
            total += p[k].n;
        }
        assert_int_equal(total, 400);
    }
    arena_free(&a);
}

static void test_code_fences_are_closed_and_reopened(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    sv *p = NULL;
    struct chunk_opts o = {.limit = 64, .fences = true};
    size_t n = split("```c\nint first_line_of_code;\nint second_line_of_code;\nint third_line_of_code;\n```\nDone.", o, &a, &p);
    assert_int_equal(n, 2);
    assert_sv(p[0], "```c\nint first_line_of_code;\nint second_line_of_code;\n```");
    assert_sv(p[1], "```c\nint third_line_of_code;\n```\nDone.");
    /* a fence that would only just begin goes into the next part as a whole */
    n = split("Some words before the code, enough.\n```\nshort code in here, yes\n```", o, &a, &p);
    assert_int_equal(n, 2);
    assert_sv(p[0], "Some words before the code, enough.");
    assert_sv(p[1], "```\nshort code in here, yes\n```");
    for (size_t i = 0; i < n; i++) {
        assert_true(p[i].n <= o.limit);
    }
    arena_free(&a);
}

static void test_indentation_inside_a_fence_survives(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    sv *p = NULL;
    struct chunk_opts o = {.limit = 64, .fences = true};
    size_t n = split("```\nif a:\n    one_long_statement(1, 2, 3)\n    another_statement(4, 5, 6)\n```", o, &a, &p);
    assert_int_equal(n, 2);
    assert_sv(p[1], "```\n    another_statement(4, 5, 6)\n```");
    arena_free(&a);
}

static void test_by_line(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    sv *p = NULL;
    struct chunk_opts o = {.limit = 64, .by_line = true};
    size_t n = split("one\r\n\n  two\n\nthis line is longer than the limit and therefore it is cut at a space.\n", o, &a, &p);
    assert_int_equal(n, 4);
    assert_sv(p[0], "one");
    assert_sv(p[1], "  two");
    assert_sv(p[2], "this line is longer than the limit and therefore it is cut at a");
    assert_sv(p[3], "space.");
    arena_free(&a);
}

static void test_paragraph_mode(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    sv *p = NULL;
    struct chunk_opts o = {.limit = 200, .paragraphs = true, .fences = true};
    size_t n = split("one\n\n\ntwo\nstill two\n\n```\ncode\n\nmore code\n```\n\nthree", o, &a, &p);
    assert_int_equal(n, 4);
    assert_sv(p[1], "two\nstill two");
    assert_sv(p[2], "```\ncode\n\nmore code\n```");
    assert_sv(p[3], "three");
    arena_free(&a);
}

/* Nothing is lost, nothing is over the limit, and the result is the same each time. */
static void test_every_limit(void **state)
{
    UNUSED(state);
    static const char text[] =
        "Intro with \xc3\xa4\xc3\xb6\xc3\xbc and more.\n\n```python\ndef f(x):\n    return x * 2  # doubled\n\nprint(f(21))\n```\n"
        "A list:\n- first item of it\n- second item \xf0\x9f\xa6\x80 with a crab\n\nLast paragraph. It ends here! Does it? "
        "averyveryveryveryveryveryveryveryveryveryveryveryveryverylongword and so on";
    for (size_t limit = CHUNK_LIMIT_MIN; limit < sizeof text + 5; limit++) {
        struct arena a = ARENA_INIT;
        sv *p = NULL, *q = NULL;
        struct chunk_opts o = {.limit = limit, .fences = true};
        size_t n = chunk_split(sv_of(text), &o, &a, &p), words = 0;
        assert_int_equal(chunk_split(sv_of(text), &o, &a, &q), n);
        for (size_t i = 0; i < n; i++) {
            assert_true(p[i].n <= limit && p[i].n > 0);
            assert_true(utf8_valid(p[i]));
            assert_true(sv_eq(p[i], q[i]));
            for (size_t k = 0; k < p[i].n; k++) {
                words += p[i].p[k] >= 'a' && p[i].p[k] <= 'z';
            }
        }
        size_t want = 0, extra = 0;
        for (size_t k = 0; k < sizeof text - 1; k++) {
            want += text[k] >= 'a' && text[k] <= 'z';
        }
        while (words > want + extra) {
            extra += 6; /* "python" of a reopened fence */
        }
        assert_int_equal(words, want + extra);
        arena_free(&a);
    }
}

static void test_cap_on_parts(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(8192);
    for (int i = 0; i < 1500; i++) {
        buf_str(&b, "x\n");
    }
    sv *p = NULL;
    struct chunk_opts o = {.limit = 64, .by_line = true};
    assert_int_equal(chunk_split(buf_view(&b), &o, &a, &p), CHUNK_PARTS_MAX);
    assert_true(sv_find(p[CHUNK_PARTS_MAX - 1], SV("too long")) > 0);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_and_empty),
        cmocka_unit_test(test_preferences),
        cmocka_unit_test(test_hard_cut_keeps_sequences_whole),
        cmocka_unit_test(test_code_fences_are_closed_and_reopened),
        cmocka_unit_test(test_indentation_inside_a_fence_survives),
        cmocka_unit_test(test_by_line),
        cmocka_unit_test(test_paragraph_mode),
        cmocka_unit_test(test_every_limit),
        cmocka_unit_test(test_cap_on_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
