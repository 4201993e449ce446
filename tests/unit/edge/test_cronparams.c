/*
 * test_cronparams.c: jobs as clients write them: schedules, payloads, patches, everything that is refused.
 * Runs in: unit tests.     Owns: nothing.
 * Never: reads the clock.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include <string.h>

#include "common/crypto.h"
#include "common/tz.h"
#include "workers/edge/cronjson.h"
#include "workers/edge/cronparams.h"

#define NOW 1767225600000 /* 2026-01-01T00:00:00Z */

static struct arena arena; /* zero is empty */
static json_t *parsed[64]; /* jobs are views of them */
static size_t parsed_n;

/* "" or why it is refused. */
static const char *take(const char *text, struct msg_cron_job *job)
{
    static char why[400];
    char err[100];
    struct buf b = BUF_INIT(sizeof why - 1);
    json_t *v = json_parse(sv_of(text), err, sizeof err);
    assert_non_null(v);
    bool ok = cron_params(v, &arena, NOW, job, &b);
    sv_copy(why, sizeof why, buf_view(&b));
    assert_int_equal(ok, why[0] == '\0');
    buf_free(&b);
    assert_true(parsed_n < ARRAY_LEN(parsed));
    parsed[parsed_n++] = v;
    return why;
}

static void test_good(void **state)
{
    UNUSED(state);
    struct msg_cron_job j = {.job_id = SV("j")};
    assert_string_equal(take("{\"schedule\":{\"kind\":\"every\",\"everyMs\":600000}}", &j), "");
    assert_int_equal(cron_params_due(&j, NOW), NOW + 600000);
    assert_string_equal(take("{\"schedule\":{\"kind\":\"at\",\"at\":\"20m\"}}", &j), "");
    assert_int_equal(cron_params_due(&j, NOW), NOW + 1200000);
    assert_string_equal(take("{\"schedule\":{\"kind\":\"at\",\"at\":\"2026-02-01T10:00:00\"}}", &j), "");
    assert_int_equal(j.at_ms, NOW + (31 * 24 + 10) * 3600000LL);
    assert_string_equal(take("{\"schedule\":{\"kind\":\"cron\",\"expr\":\"30 7 * * *\",\"tz\":\"Europe/Madrid\"}}", &j), "");
    assert_int_equal(cron_params_due(&j, NOW), NOW + 6 * 3600000 + 1800000);
    assert_string_equal(take("{\"schedule\":{\"kind\":\"cron\",\"expr\":\"0 * * * *\",\"tz\":\"UTC\"}}", &j), "");
    assert_int_equal(j.stagger_ms, 300000); /* the full hour is spread */
    assert_true(j.offset_ms > 0 && j.offset_ms < 300000);
    j.off = true;
    assert_int_equal(cron_params_due(&j, NOW), 0);
}

static void test_refused(void **state)
{
    UNUSED(state);
    static const char *const rows[][2] = {
        {"{\"schedule\":{\"kind\":\"stream\"}}", "/schedule/kind"},
        {"{\"schedule\":{\"kind\":\"sometimes\"}}", "/kind"},
        {"{\"schedule\":{}}", "kind"},
        {"{\"schedule\":{\"kind\":\"at\",\"at\":\"soon\"}}", "/schedule/at"},
        {"{\"schedule\":{\"kind\":\"at\",\"at\":\"2020-01-01T00:00:00Z\"}}", "past"},
        {"{\"schedule\":{\"kind\":\"every\",\"everyMs\":10}}", "everyMs"},
        {"{\"schedule\":{\"kind\":\"cron\",\"expr\":\"61 * * * *\"}}", "minute"},
        {"{\"schedule\":{\"kind\":\"cron\",\"expr\":\"0 0 31 2 *\",\"tz\":\"UTC\"}}", "eight years"},
        {"{\"schedule\":{\"kind\":\"cron\",\"expr\":\"* * * * *\",\"tz\":\"Nowhere/Land\"}}", "Nowhere/Land"},
        {"{\"payload\":{\"kind\":\"command\",\"argv\":[\"x\"]}}", "/payload/kind"},
        {"{\"payload\":{\"kind\":\"agentTurn\",\"message\":\" \"}}", "/payload/message"},
        {"{\"payload\":{\"kind\":\"agentTurn\",\"message\":\"x\",\"timeoutSeconds\":-1}}", "timeoutSeconds"},
        {"{\"delivery\":{\"mode\":\"webhook\",\"to\":\"http://x\"}}", "/delivery/mode"},
        {"{\"sessionTarget\":\"elsewhere\"}", "/sessionTarget"},
        {"{\"sessionTarget\":\"main\",\"payload\":{\"kind\":\"agentTurn\",\"message\":\"x\"}}", "main cron jobs require"},
        {"{\"sessionTarget\":\"isolated\",\"payload\":{\"kind\":\"systemEvent\",\"text\":\"x\"}}", "sessionTarget"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct msg_cron_job j = {.job_id = SV("j")};
        const char *why = take(rows[i][0], &j);
        if (strstr(why, rows[i][1]) == NULL) {
            fail_msg("%s: \"%s\" does not name %s", rows[i][0], why, rows[i][1]);
        }
    }
}

static void test_patch_and_row(void **state)
{
    UNUSED(state);
    struct msg_cron_job j = {.job_id = SV("j"), .created_ms = 1, .kind = SV("every")};
    struct buf b = BUF_INIT(4096);
    json_t *spec = json_parse(SV("{\"name\":\"n\",\"description\":\"d\",\"schedule\":{\"kind\":\"every\",\"everyMs\":5000},"
                                 "\"sessionTarget\":\"isolated\",\"wakeMode\":\"now\",\"payload\":{\"kind\":\"agentTurn\","
                                 "\"message\":\"hi\"},\"delivery\":{\"mode\":\"announce\"}}"), NULL, 0);
    json_t *patch = json_parse(SV("{\"description\":null,\"enabled\":false,\"delivery\":{\"mode\":\"none\"}}"), NULL, 0);
    assert_true(cron_params(spec, &arena, NOW, &j, &b));
    assert_sv(j.deliver_channel, "last");
    assert_true(cron_params(patch, &arena, NOW, &j, &b));
    assert_sv(j.name, "n");
    assert_int_equal(j.description.n, 0);
    assert_true(j.off);
    assert_int_equal(j.deliver_channel.n, 0);
    cron_job_row(&b, &j);
    json_t *row = json_parse(buf_view(&b), NULL, 0);
    assert_sv(json_sv(row, "schedule.kind"), "every");
    assert_int_equal(json_i64(row, "schedule.everyMs", 0), 5000);
    assert_sv(json_sv(row, "payload.message"), "hi");
    assert_sv(json_sv(row, "sessionTarget"), "isolated");
    assert_false(json_flag(row, "enabled", true));
    json_free(&row);
    json_free(&spec);
    json_free(&patch);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_patch_and_row),
    };
    crypto_init();
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    while (parsed_n > 0) {
        json_free(&parsed[--parsed_n]);
    }
    arena_free(&arena);
    tz_free_all();
    return rc;
}
