/*
 * autodetect.c: looks for a model when none is configured: Ollama and LM Studio on this machine, then keys in
 *               the environment, else nothing (the offline responder).
 * Runs in: agent.     Owns: the probes under way.
 * Never: delays READY; uses a key without saying so.
 * Tested in: tests/unit/agent/test_models.c
 */
#include <stdio.h>
#include <stdlib.h>

#include "agent/models.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"

#define BODY_MAX ((size_t)512 * 1024)

struct probe {
    struct models *m;
    struct provider *provider;
    bool ollama;
    struct http_req *req;
    bool up;          /* something answered */
    size_t count;     /* models it has */
    char model[MODEL_NAME_MAX + 1];
};

#define PROBES 2
static const char *const probe_ids[PROBES] = {"ollama", "lmstudio"}; /* in this order of preference */

/* ---- answers --------------------------------------------------------------------------------------- */

static bool can_chat(sv name)
{
    static const char *const not_chat[] = {"embed", "bge-", "minilm", "rerank", "whisper", "tts", "clip"};
    for (size_t i = 0; i < ARRAY_LEN(not_chat); i++) {
        if (sv_find(name, sv_of(not_chat[i])) >= 0) {
            return false;
        }
    }
    return name.n > 0 && name.n <= MODEL_NAME_MAX;
}

bool autodetect_ollama(sv body, uint64_t free_bytes, char *model, size_t cap, size_t *count)
{
    ATTR_CLEANUP(json_free) json_t *v = json_parse(body, NULL, 0);
    const json_t *list = json_at(v, "models");
    uint64_t best = 0, smallest = UINT64_MAX;
    sv best_name = SV_NULL, small_name = SV_NULL;
    *count = 0;
    for (size_t i = 0; json_is_array(list) && i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        sv name = json_sv(e, "name");
        int64_t raw = json_i64(e, "size", 0);
        uint64_t size = raw > 0 ? (uint64_t)raw : 0;
        if (!can_chat(name)) {
            continue;
        }
        ++*count;
        /* Weights plus a fifth for context: the largest that fits, else the smallest there is. */
        if (size + size / 5 <= free_bytes && (best_name.n == 0 || size > best)) {
            best = size;
            best_name = name;
        }
        if (size < smallest) {
            smallest = size;
            small_name = name;
        }
    }
    return sv_copy(model, cap, best_name.n > 0 ? best_name : small_name) && model[0] != '\0';
}

bool autodetect_list(sv body, char *model, size_t cap, size_t *count)
{
    ATTR_CLEANUP(json_free) json_t *v = json_parse(body, NULL, 0);
    const json_t *list = json_at(v, "data");
    sv first = SV_NULL;
    *count = 0;
    for (size_t i = 0; json_is_array(list) && i < json_array_size(list); i++) {
        sv id = json_sv(json_array_get(list, i), "id");
        if (can_chat(id)) {
            ++*count;
            first = first.n > 0 ? first : id;
        }
    }
    return sv_copy(model, cap, first) && model[0] != '\0';
}

static uint64_t free_memory(void)
{
    struct buf text = BUF_INIT(16384);
    uint64_t kib = 0;
    if (file_read("/proc/meminfo", &text) == 0) {
        const char *at = strstr(buf_cstr(&text), "MemAvailable:");
        kib = at ? strtoull(at + 13, NULL, 10) : 0;
    }
    buf_free(&text);
    return kib * 1024;
}

/* ---- choice ---------------------------------------------------------------------------------------- */

static bool choose(struct models *m, struct provider *p, const char *model, const char *why)
{
    struct buf ignored = BUF_INIT(1024);
    struct model_choice c = {0};
    char name[MODEL_NAME_MAX + 80];
    (void)snprintf(name, sizeof name, "%s/%s", p->id, model);
    int rc = models_pick(m, "main", sv_of(name), 0, &c, &ignored);
    buf_free(&ignored);
    if (rc < 0) {
        return false;
    }
    (void)snprintf(c.why, sizeof c.why, "%s", why);
    m->automatic = c;
    return true;
}

static bool choose_found(struct models *m)
{
    char why[160];
    for (size_t i = 0; m->probes && i < PROBES; i++) {
        struct probe *p = &m->probes[i];
        if (p->model[0] != '\0') {
            (void)snprintf(why, sizeof why, "found %s at %s with %zu model%s", p->provider->id,
                           p->provider->base_url, p->count, p->count == 1 ? "" : "s");
            return choose(m, p->provider, p->model, why);
        }
        if (p->up) {
            (void)snprintf(m->hint, sizeof m->hint, "%s runs but has no model for conversation yet%s", p->provider->id,
                           p->ollama ? ": `ollama pull qwen3:8b` gets one" : "");
        }
    }
    static const struct {
        const char *id, *variable;
    } keys[] = {{"anthropic", "ANTHROPIC_API_KEY"}, {"openai", "OPENAI_API_KEY"}};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct provider *p = models_provider(m, sv_of(keys[i].id));
        if (p && p->key.n > 0 && !p->configured) {
            (void)snprintf(why, sizeof why, "key from %s; calls cost money", keys[i].variable);
            return choose(m, p, p->row->model, why);
        }
    }
    return false;
}

/* Somebody who named a model needs no further search. */
static bool default_is_offline(const struct models *m)
{
    struct buf ignored = BUF_INIT(1024);
    struct model_choice c;
    bool offline = models_pick(m, "main", SV_NULL, 0, &c, &ignored) == 0 ? c.offline : true;
    buf_free(&ignored);
    return offline;
}

static void all_answered(struct models *m)
{
    bool first = m->pending;
    m->pending = false;
    m->hint[0] = '\0';
    bool found = choose_found(m);
    xfree(m->probes);
    m->probes = NULL;
    if (!found && default_is_offline(m)) {
        loop_timer_start(&m->reprobe, REPROBE_MS);
    }
    if (first || found) {
        m->on_change(m->ctx);
    }
}

/* ---- probes ---------------------------------------------------------------------------------------- */

static void on_probe(void *ctx, const struct http_result *r)
{
    struct probe *p = ctx;
    struct models *m = p->m;
    p->req = NULL;
    if (r->fail == HTTP_CANCELLED) {
        return; /* autodetect_stop frees the probes */
    }
    if (r->fail == HTTP_OK && r->status == 200) {
        p->up = true;
        if (p->ollama) {
            (void)autodetect_ollama(r->body, free_memory(), p->model, sizeof p->model, &p->count);
        } else {
            (void)autodetect_list(r->body, p->model, sizeof p->model, &p->count);
        }
    }
    if (--m->probes_left == 0) {
        all_answered(m);
    }
}

static void start_probe(struct models *m, struct probe *p, const char *id)
{
    struct buf url = BUF_INIT(4096);
    p->m = m;
    p->provider = models_provider(m, sv_of(id));
    p->ollama = strcmp(id, "ollama") == 0;
    sv base = sv_of(p->provider->base_url);
    if (p->ollama && sv_ends(base, SV("/v1"))) {
        base.n -= 3;
    }
    buf_printf(&url, "%.*s%s", SV_ARG(base), p->ollama ? "/api/tags" : "/models");
    struct http_opts o = {
        .method = "GET",
        .url = buf_cstr(&url),
        .connect_ms = PROBE_MS,
        .idle_ms = PROBE_MS,
        .total_ms = PROBE_MS,
        .max_body = BODY_MAX,
        .allow_private = true,
    };
    p->req = http_start(m->http, &o, NULL, on_probe, p);
    buf_free(&url);
}

static void probe_all(void *ctx)
{
    struct models *m = ctx;
    m->probes = xcalloc(PROBES, sizeof *m->probes);
    m->probes_left = PROBES;
    for (size_t i = 0; i < PROBES; i++) {
        start_probe(m, &m->probes[i], probe_ids[i]);
    }
}

void autodetect_start(struct models *m)
{
    struct buf ignored = BUF_INIT(1024);
    struct model_choice c;
    loop_timer_init(&m->reprobe, m->loop, probe_all, m);
    m->pending = m->autodetect && m->http != NULL;
    /* Without a question to the network when the configuration answers it. */
    m->pending = m->pending && models_pick(m, "main", SV("auto"), 0, &c, &ignored) < 0;
    buf_free(&ignored);
    if (m->pending) {
        probe_all(m);
    } else if (m->autodetect) {
        (void)choose_found(m); /* keys in the environment */
    }
}

void autodetect_stop(struct models *m)
{
    if (m->reprobe.loop) {
        loop_timer_stop(&m->reprobe);
    }
    /* The requests are cancelled by the owner of the HTTP client, which is freed before the models. */
    xfree(m->probes);
    m->probes = NULL;
}
