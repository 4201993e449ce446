/*
 * test_models.c: providers from configuration and environment, selection, the search for a local model.
 * Runs in: unit tests.     Owns: one small server for the probes.
 * Never: leaves loopback.
 * Tested in: this is the test.
 */
#include "tests/unit/agent/unit.h"

#include <stdio.h>

#include "agent/models.h"
#include "common/err.h"
#include "common/log.h"
#include "tests/unit/common/http_stub.h"

static struct conf conf;
static struct models m;
static struct loop *loop;
static struct http_client *http;
static struct buf why;
static unsigned changes;

static int setup(void **state)
{
    (void)state;
    crypto_init();
    conf = (struct conf){0};
    why = BUF_INIT(4096);
    memset(&m, 0, sizeof m);
    loop = loop_new();
    http = NULL;
    changes = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    http_client_free(http);
    models_free(&m);
    loop_free(loop);
    conf_free(&conf);
    buf_free(&why);
    return 0;
}

static void changed(void *ctx)
{
    (void)ctx;
    changes++;
}

static void init(void)
{
    models_init(&m, loop, http, &conf, changed, NULL);
}

static void picks(const char *want, const char *provider, const char *model)
{
    struct model_choice c;
    buf_reset(&why);
    int rc = models_pick(&m, "main", sv_of(want), 0, &c, &why);
    if (rc != OK) {
        fail_msg("%s: %s: %.*s", want, err_name(rc), SV_ARG(buf_view(&why)));
    }
    assert_string_equal(c.provider->id, provider);
    assert_string_equal(c.model, model);
}

static void refuses(const char *want, const char *part)
{
    struct model_choice c;
    buf_reset(&why);
    assert_int_equal(models_pick(&m, "main", sv_of(want), 0, &c, &why), ERR_UNAVAILABLE);
    if (sv_find(buf_view(&why), sv_of(part)) < 0) {
        fail_msg("\"%.*s\" lacks \"%s\"", SV_ARG(buf_view(&why)), part);
    }
}

static void named_models(void **state)
{
    (void)state;
    conf_set_str(&conf, "models.providers.local.baseUrl", SV("http://10.0.0.5:8000/v1/"));
    conf_set_str(&conf, "models.providers.local.models.0.id", SV("qwen3-8b"));
    conf_set_int(&conf, "models.providers.local.models.0.contextWindow", 32768);
    conf_set_int(&conf, "models.providers.local.models.0.maxTokens", 4096);
    conf_set_str(&conf, "models.providers.openrouter.apiKey", SV("k"));
    init();
    picks("local/qwen3-8b", "local", "qwen3-8b");
    picks("local", "local", "qwen3-8b");
    picks("openrouter/anthropic/claude", "openrouter", "anthropic/claude");
}

static void windows_and_timeouts(void **state)
{
    (void)state;
    conf_set_str(&conf, "models.providers.local.baseUrl", SV("http://10.0.0.5:8000/v1/"));
    conf_set_str(&conf, "models.providers.local.models.0.id", SV("qwen3-8b"));
    conf_set_int(&conf, "models.providers.local.models.0.contextWindow", 32768);
    conf_set_int(&conf, "models.providers.local.models.0.maxTokens", 4096);
    conf_set_str(&conf, "models.providers.far.baseUrl", SV("https://models.example.org/v1"));
    conf_set_int(&conf, "models.providers.slow.timeout", 5000);
    conf_set_str(&conf, "models.providers.slow.baseUrl", SV("http://localhost:1/v1"));
    init();
    struct model_choice c;
    assert_int_equal(models_pick(&m, "main", SV("local/qwen3-8b"), 0, &c, &why), OK);
    assert_int_equal(c.window, 32768);
    assert_int_equal(c.max_tokens, 4096);
    assert_string_equal(c.provider->base_url, "http://10.0.0.5:8000/v1");
    assert_int_equal(models_target(&c).idle_ms, IDLE_SELF_HOSTED_MS);
    assert_int_equal(models_pick(&m, "main", SV("far/x"), 0, &c, &why), OK);
    assert_int_equal(models_target(&c).idle_ms, IDLE_CLOUD_MS);
    assert_int_equal(models_pick(&m, "main", SV("slow/x"), 0, &c, &why), OK);
    assert_int_equal(models_target(&c).idle_ms, 5000);
    assert_int_equal(models_pick(&m, "main", SV("ollama/x"), 0, &c, &why), OK);
    assert_string_equal(c.provider->base_url, "http://127.0.0.1:11434/v1");
}

static void what_cannot_be_used(void **state)
{
    (void)state;
    conf_set_str(&conf, "models.providers.odd.api", SV("gopher"));
    conf_set_str(&conf, "models.providers.nowhere.api", SV("openai-completions"));
    conf_set_str(&conf, "models.providers.old.api", SV("ollama"));
    conf_set_str(&conf, "models.providers.old.baseUrl", SV("http://box:11434"));
    conf_set_str(&conf, "models.providers.openrouter.apiKey", SV("k"));
    init();
    refuses("mars/x", "there is no provider \"mars\"");
    refuses("odd/x", "models.providers.odd.api \"gopher\" is not supported");
    refuses("nowhere/x", "models.providers.nowhere.baseUrl is missing");
    refuses("anthropic/claude", "models.providers.anthropic.apiKey or ANTHROPIC_API_KEY");
    refuses("openai/x", "OPENAI_API_KEY");
    refuses("openrouter", "no usable model name. Write it as openrouter/MODEL.");
    assert_string_equal(models_provider(&m, SV("old"))->base_url, "http://box:11434/v1");
}

static void the_order_of_choice(void **state)
{
    (void)state;
    conf_set_str(&conf, "models.providers.a.baseUrl", SV("http://127.0.0.1:1/v1")); /* no model: not chosen by itself */
    conf_set_str(&conf, "models.providers.b.baseUrl", SV("http://127.0.0.1:2/v1"));
    conf_add_list(&conf, "models.providers.b.models", SV("first"));
    conf_add_list(&conf, "models.providers.b.models", SV("second"));
    conf_set_str(&conf, "agents.entries.zoo.model.primary", SV("b/second"));
    conf_add_list(&conf, "agents.defaults.model.fallbacks", SV("a/x"));
    init();
    picks("", "b", "first");
    picks("auto", "b", "first");
    struct model_choice c;
    assert_int_equal(models_pick(&m, "zoo", SV_NULL, 0, &c, &why), OK);
    assert_string_equal(c.model, "second");
    assert_int_equal(models_pick(&m, "zoo", SV("a/y"), 0, &c, &why), OK); /* the sender's wish is stronger */
    assert_string_equal(c.model, "y");
    assert_int_equal(models_pick(&m, "zoo", SV("a/y"), 1, &c, &why), OK);
    assert_string_equal(c.model, "x");
    assert_int_equal(models_pick(&m, "zoo", SV("a/y"), 2, &c, &why), ERR_GONE);
}

static void a_primary_from_the_defaults(void **state)
{
    (void)state;
    conf_set_str(&conf, "agents.defaults.model.primary", SV("ollama/llama3.2"));
    init();
    picks("", "ollama", "llama3.2");
}

static void nothing_configured(void **state)
{
    (void)state;
    init();
    picks("", "offline", "guide");
    struct model_choice c;
    assert_int_equal(models_pick(&m, "main", SV_NULL, 0, &c, &why), OK);
    assert_true(c.offline);
}

static void nothing_and_no_responder(void **state)
{
    (void)state;
    conf_set_bool(&conf, "models.offlineResponder", false);
    init();
    refuses("", "No model is configured");
    refuses("offline/guide", "switched off");
}

static void keys_of_the_environment(void **state)
{
    (void)state;
    conf_set_str(&conf, "models.env.openai", SV("k1"));
    init();
    picks("", "openai", "gpt-5-mini");
    struct model_choice c;
    assert_int_equal(models_pick(&m, "main", SV_NULL, 0, &c, &why), OK);
    assert_string_equal(c.why, "key from OPENAI_API_KEY; calls cost money");
    refuses("anthropic/x", "ANTHROPIC_API_KEY"); /* a key of one is no key of the other */
}

static void ollama_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *host, *base;
    } rows[] = {
        {"127.0.0.1:11435", "http://127.0.0.1:11435/v1"}, {"0.0.0.0", "http://127.0.0.1:11434/v1"}, {"0.0.0.0:9999", "http://127.0.0.1:9999/v1"},
        {"http://box:80/", "http://box:80/v1"},           {":5000", "http://127.0.0.1:5000/v1"},     {"box", "http://box:11434/v1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        conf_set_str(&conf, "models.env.ollamaHost", sv_of(rows[i].host));
        init();
        assert_string_equal(models_provider(&m, SV("ollama"))->base_url, rows[i].base);
        models_free(&m);
        conf_free(&conf);
    }
    init();
}

static void lists_of_models(void **state)
{
    (void)state;
    char model[100];
    size_t n;
    const char *tags = "{\"models\":[{\"name\":\"tiny:1b\",\"size\":1000},{\"name\":\"big:70b\",\"size\":900000},"
                       "{\"name\":\"nomic-embed-text:latest\",\"size\":50000},{\"name\":\"mid:8b\",\"size\":50000}]}";
    assert_true(autodetect_ollama(sv_of(tags), 100000, model, sizeof model, &n));
    assert_string_equal(model, "mid:8b"); /* the largest that fits and can talk */
    assert_int_equal(n, 3);
    assert_true(autodetect_ollama(sv_of(tags), 10, model, sizeof model, &n));
    assert_string_equal(model, "tiny:1b");
    assert_false(autodetect_ollama(SV("{\"models\":[]}"), 10, model, sizeof model, &n));
    assert_false(autodetect_ollama(SV("nonsense"), 10, model, sizeof model, &n));
    assert_true(autodetect_list(SV("{\"data\":[{\"id\":\"text-embedding-x\"},{\"id\":\"qwen\"},{\"id\":\"z\"}]}"), model, sizeof model, &n));
    assert_string_equal(model, "qwen");
    assert_int_equal(n, 2);
    assert_false(autodetect_list(SV("{\"data\":{}}"), model, sizeof model, &n));
}

/* ---- with a server --------------------------------------------------------------------------------- */

static const char *tags_answer;

static void run_tags(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    stub_answer(c, 200, "", sv_of(tags_answer));
}

static void run_models(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    stub_answer(c, 404, "", SV("{}"));
}

static const struct stub_script scripts[] = {{"/api/tags", run_tags}, {"/lm/models", run_models}, {NULL, NULL}};

static void probe(const char *tags)
{
    struct stub stub;
    char text[100];
    tags_answer = tags;
    stub_start(&stub, loop, scripts);
    http = http_client_new(loop);
    (void)snprintf(text, sizeof text, "127.0.0.1:%d", stub.port);
    conf_set_str(&conf, "models.env.ollamaHost", sv_of(text));
    (void)snprintf(text, sizeof text, "http://127.0.0.1:%d/lm", stub.port);
    conf_set_str(&conf, "models.providers.lmstudio.baseUrl", sv_of(text));
    init();
    struct model_choice c;
    assert_int_equal(models_pick(&m, "main", SV_NULL, 0, &c, &why), ERR_BUSY); /* runs wait, READY does not */
    while (changes == 0) {
        ev_run(loop_ev(loop), EVRUN_ONCE);
    }
    stub_stop(&stub);
}

static void a_probe_finds_ollama(void **state)
{
    (void)state;
    probe("{\"models\":[{\"name\":\"qwen3:8b\",\"size\":1}]}");
    picks("", "ollama", "qwen3:8b");
    struct model_choice c;
    assert_int_equal(models_pick(&m, "main", SV_NULL, 0, &c, &why), OK);
    assert_true(strstr(c.why, "found ollama at http://127.0.0.1:") && strstr(c.why, "with 1 model"));
}

static void a_probe_that_finds_no_model_says_so(void **state)
{
    (void)state;
    probe("{\"models\":[]}");
    picks("", "offline", "guide");
    assert_non_null(strstr(m.hint, "ollama pull"));
}

static void stopping_during_a_probe(void **state)
{
    (void)state;
    http = http_client_new(loop);
    conf_set_str(&conf, "models.env.ollamaHost", SV("127.0.0.1:1"));
    init();
    assert_true(m.pending);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(named_models), CASE(windows_and_timeouts), CASE(what_cannot_be_used), CASE(the_order_of_choice), CASE(a_primary_from_the_defaults),
        CASE(nothing_configured), CASE(nothing_and_no_responder), CASE(keys_of_the_environment), CASE(ollama_hosts), CASE(lists_of_models),
        CASE(a_probe_finds_ollama), CASE(a_probe_that_finds_no_model_says_so), CASE(stopping_during_a_probe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
