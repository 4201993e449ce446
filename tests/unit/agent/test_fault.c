/*
 * test_fault.c: classes of failures, retry plan, the line for the user.
 * Runs in: unit tests.     Owns: nothing.
 * Never: uses the network.
 * Tested in: this is the test.
 */
#include "tests/unit/agent/unit.h"

#include "agent/provider/fault.h"

static void classes(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *type, *message;
        enum fault want;
    } rows[] = {
        {401, "", "", FAULT_AUTH},
        {403, "", "rate limit", FAULT_AUTH},
        {402, "", "", FAULT_BILLING},
        {402, "", "daily rate limit reached, try later", FAULT_RATE_LIMIT},
        {404, "", "", FAULT_NO_MODEL},
        {413, "", "", FAULT_CONTEXT},
        {429, "", "", FAULT_RATE_LIMIT},
        {429, "insufficient_quota", "", FAULT_BILLING},
        {500, "", "", FAULT_SERVER},
        {500, "", "the request exceeds the available context size", FAULT_CONTEXT},
        {503, "", "Model is OVERLOADED", FAULT_OVERLOADED},
        {529, "", "", FAULT_OVERLOADED},
        {400, "", "", FAULT_FORMAT},
        {400, "exceed_context_size_error", "", FAULT_CONTEXT},
        {400, "", "Too many tokens per minute", FAULT_RATE_LIMIT},
        {422, "", "unknown model", FAULT_NO_MODEL},
        {0, "", "", FAULT_UNKNOWN},
        {0, "overloaded_error", "", FAULT_OVERLOADED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum fault f = fault_classify(rows[i].status, sv_of(rows[i].type), sv_of(rows[i].message));
        if (f != rows[i].want) {
            fail_msg("row %zu: %s instead of %s", i, fault_name(f), fault_name(rows[i].want));
        }
    }
}

static void retries(void **state)
{
    (void)state;
    assert_int_equal(fault_retry_ms(FAULT_SERVER, 1, -1), 500);
    assert_int_equal(fault_retry_ms(FAULT_SERVER, 2, -1), 2000);
    assert_int_equal(fault_retry_ms(FAULT_SERVER, 3, -1), -1);
    assert_int_equal(fault_retry_ms(FAULT_UNREACHABLE, 2, -1), 2000);
    assert_int_equal(fault_retry_ms(FAULT_RATE_LIMIT, 1, 7000), 7000);
    assert_int_equal(fault_retry_ms(FAULT_RATE_LIMIT, 1, 31000), -1); /* told to the user instead of waited for */
    assert_int_equal(fault_retry_ms(FAULT_RATE_LIMIT, 3, 0), -1);
    assert_int_equal(fault_retry_ms(FAULT_AUTH, 1, -1), -1);
    assert_int_equal(fault_retry_ms(FAULT_CONTEXT, 1, -1), -1);
    assert_int_equal(fault_retry_ms(FAULT_IDLE, 1, -1), -1);
}

static void lines(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(2000);
    struct fault_line l = {.fault = FAULT_UNREACHABLE, .provider = "ollama", .model = "qwen3:8b", .base_url = "http://127.0.0.1:11434/v1",
                           .detail = "connection refused", .retry_after_ms = -1};
    fault_print(&b, &l);
    assert_sv(buf_view(&b), "ollama/qwen3:8b: no answer from the model server at http://127.0.0.1:11434/v1 (connection refused). "
                            "Start the server or correct models.providers.ollama.baseUrl, then send the message again.");
    buf_reset(&b);
    l = (struct fault_line){.fault = FAULT_AUTH, .provider = "openai", .model = "m", .base_url = "u", .status = 401,
                            .detail = "Incorrect API key provided: sk-secret", .retry_after_ms = -1};
    fault_print(&b, &l);
    assert_true(sv_find(buf_view(&b), SV("secret")) < 0);
    assert_true(sv_find(buf_view(&b), SV("(HTTP 401)")) >= 0);
    buf_reset(&b);
    l.fault = FAULT_FORMAT;
    l.status = 400;
    l.detail = "bad key sk-proj-abc_123!\nsecond\tline risk-free.";
    fault_print(&b, &l);
    assert_true(sv_find(buf_view(&b), SV("(HTTP 400: bad key sk-***! second line risk-free)")) >= 0);
    buf_reset(&b);
    l.fault = FAULT_RATE_LIMIT;
    l.detail = "";
    l.retry_after_ms = 60000;
    l.spanish = true;
    fault_print(&b, &l);
    assert_true(sv_ends(buf_view(&b), SV(" (dentro de 60 s).")));
    buf_free(&b);
}

static void every_class_has_words(void **state)
{
    (void)state;
    for (int f = FAULT_NONE + 1; f < FAULT_COUNT; f++) {
        for (int es = 0; es < 2; es++) {
            struct buf b = BUF_INIT(2000);
            struct fault_line l = {.fault = (enum fault)f, .provider = "p", .model = "m", .base_url = "u", .retry_after_ms = -1, .spanish = es == 1};
            fault_print(&b, &l);
            assert_true(b.n > 40);
            assert_true(sv_starts(buf_view(&b), SV("p/m: ")));
            assert_true(sv_chr(buf_view(&b), '{') < 0);
            assert_true(fault_kind((enum fault)f)[0] != '\0');
            buf_free(&b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes), cmocka_unit_test(retries), cmocka_unit_test(lines), cmocka_unit_test(every_class_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
