/*
 * test_metrics.c: the numbers of workers as text and JSON; they survive restarts.
 * Runs in: unit tests.     Owns: two children without processes.
 * Never: starts a process.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "supervisor/metrics.h"
#include "supervisor/sup.h"
#include "supervisor/usage.h"

static struct sup s;
static struct child store, chan;
static struct recorder *mine; /* the worker's mapping */

static void spawn(struct child *c)
{
    int fd = evidence_recorder(c);
    assert_true(fd >= 0);
    mine = recorder_use(fd, c->name, 1);
    assert_non_null(mine);
    fd_close(&fd);
}

static int setup(void **state)
{
    (void)state;
    log_set_console(-1);
    memset(&store, 0, sizeof store);
    memset(&chan, 0, sizeof chan);
    store.kind = &worker_kinds[WK_store];
    chan.kind = &worker_kinds[WK_channel];
    sv_copy(store.name, sizeof store.name, SV("store"));
    sv_copy(chan.name, sizeof chan.name, SV("irc/we\"ird"));
    store.sup = chan.sup = &s;
    store.evidence.out.fd = chan.evidence.out.fd = -1;
    s.children[0] = &store;
    s.children[1] = &chan;
    s.child_n = 2;
    spawn(&store);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    clock_test_set(-1, -1);
    static struct counters home;
    static struct log_context nowhere;
    counters_move(&home); /* away from the mapping that goes */
    log_context_move(&nowhere);
    log_tap = NULL;
    recorder_unmap(mine);
    evidence_free(&store);
    evidence_free(&chan);
    return 0;
}

static bool text_has(const char *part)
{
    struct buf b = BUF_INIT(1 << 20);
    metrics_text(&s, &b);
    bool found = strstr(buf_cstr(&b), part) != NULL;
    buf_free(&b);
    return found;
}

static void counters_survive_restarts_and_gauges_do_not(void **state)
{
    (void)state;
    memset(&mine->counters, 0, sizeof mine->counters);
    counter_add(C_store_requests, 5);
    counter_set(C_accepted, 100); /* kept by the store itself */
    counter_set(C_runs_queued, 3);
    histogram_add(H_commit, 2500);
    assert_true(text_has("tenaza_store_requests_total{worker=\"store\",kind=\"store\"} 5\n"));
    struct recorder *old = mine;
    spawn(&store);
    recorder_unmap(old);
    memset(&mine->counters, 0, sizeof mine->counters);
    counter_add(C_store_requests, 2);
    counter_set(C_accepted, 101);
    histogram_add(H_commit, 2500);
    assert_true(text_has("tenaza_store_requests_total{worker=\"store\",kind=\"store\"} 7\n"));
    assert_true(text_has("tenaza_messages_accepted_total{worker=\"store\",kind=\"store\"} 101\n"));
    assert_true(text_has("tenaza_queue_depth{worker=\"store\",kind=\"store\",queue=\"runs\"} 0\n"));
    assert_true(text_has("tenaza_store_commit_seconds_bucket{worker=\"store\",kind=\"store\",le=\"0.001\"} 0\n"));
    assert_true(text_has("tenaza_store_commit_seconds_bucket{worker=\"store\",kind=\"store\",le=\"0.003\"} 2\n"));
    assert_true(text_has("tenaza_store_commit_seconds_bucket{worker=\"store\",kind=\"store\",le=\"+Inf\"} 2\n"));
    assert_true(text_has("tenaza_store_commit_seconds_sum{worker=\"store\",kind=\"store\"} 0.005000\n"));
    assert_true(text_has("tenaza_store_commit_seconds_count{worker=\"store\",kind=\"store\"} 2\n"));
}

static void units_and_labels(void **state)
{
    (void)state;
    clock_test_set(50000, 1000000);
    counter_set(C_loop_lag, 12000);
    counter_set(C_runs_oldest, 970000);
    counter_set(C_out_oldest, 2000000); /* the clock was set back: not negative */
    assert_true(text_has("tenaza_worker_loop_lag_seconds{worker=\"store\",kind=\"store\"} 0.012000\n"));
    assert_true(text_has("tenaza_queue_oldest_seconds{worker=\"store\",kind=\"store\",queue=\"runs\"} 30.000\n"));
    assert_true(text_has("tenaza_queue_oldest_seconds{worker=\"store\",kind=\"store\",queue=\"outbox\"} 0.000\n"));
    assert_true(text_has("tenaza_channel_connected{worker=\"irc/we\\\"ird\",kind=\"channel\"} 0\n"));
    assert_false(text_has("tenaza_channel_connected{worker=\"store\""));
    assert_true(text_has("tenaza_worker_state{worker=\"store\",kind=\"store\",state=\"stopped\"} 1\n"));
}

static void json(void **state)
{
    (void)state;
    memset(&mine->counters, 0, sizeof mine->counters);
    counter_set(C_sessions, 4);
    histogram_add(H_commit, 900);
    struct buf b = BUF_INIT(1 << 20);
    metrics_json(&s, &b);
    assert_non_null(strstr(buf_cstr(&b), "{\"name\":\"store\",\"counters\":{"));
    assert_non_null(strstr(buf_cstr(&b), "\"sessions\":4"));
    assert_non_null(strstr(buf_cstr(&b), "\"commit\":{\"count\":1,\"sumUs\":900,\"p50Us\":1000,\"p99Us\":1000}"));
    assert_non_null(strstr(buf_cstr(&b), "\"name\":\"irc/we\\\"ird\""));
    buf_free(&b);
}

static void usage_of_processes(void **state)
{
    (void)state;
    struct usage none = usage_of(0), self = usage_of(getpid());
    assert_int_equal(none.rss_kb, 0);
    assert_true(self.rss_kb > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counters_survive_restarts_and_gauges_do_not, setup, teardown),
        cmocka_unit_test_setup_teardown(units_and_labels, setup, teardown),
        cmocka_unit_test_setup_teardown(json, setup, teardown),
        cmocka_unit_test(usage_of_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
