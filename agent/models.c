/*
 * models.c: providers from configuration, environment and table; selection of a run's model.
 * Runs in: agent.     Owns: see models.h.
 * Never: network (that is autodetect.c).
 * Tested in: tests/unit/agent/test_models.c
 */
#include "agent/models.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "common/err.h"
#include "common/text.h"

#define PROVIDERS "models.providers"

/* ---- providers ------------------------------------------------------------------------------------- */

static const char *item(const struct conf *c, const char *provider, const char *key, const char *dflt)
{
    char path[256];
    (void)snprintf(path, sizeof path, PROVIDERS ".%s.%s", provider, key);
    return conf_str(c, path, dflt);
}

/* Loopback, private and link-local addresses, and bare host names. */
static bool is_local(const char *base_url)
{
    struct url u;
    if (!url_parse(sv_of(base_url), &u)) {
        return false;
    }
    char host[256];
    struct in_addr a;
    if (!sv_copy(host, sizeof host, u.host)) {
        return false;
    }
    if (inet_pton(AF_INET, host, &a) == 1) {
        uint32_t ip = ntohl(a.s_addr);
        return ip >> 24 == 127 || ip >> 24 == 10 || ip >> 20 == 0xac1 || ip >> 16 == 0xc0a8 || ip >> 16 == 0xa9fe;
    }
    if (strchr(host, ':')) {
        return strcmp(host, "::1") == 0 || strncmp(host, "fd", 2) == 0 || strncmp(host, "fe80", 4) == 0;
    }
    return strchr(host, '.') == NULL || sv_ends(u.host, SV(".local")) || sv_ends(u.host, SV(".lan"));
}

static char *clean_base(const char *base, const char *api)
{
    sv b = sv_trim(sv_of(base));
    while (b.n > 0 && b.p[b.n - 1] == '/') {
        b.n--;
    }
    bool add_v1 = strcmp(api, "ollama") == 0 && !sv_ends(b, SV("/v1"));
    /* Anthropic's base stands before /v1; people paste it with. */
    if (strcmp(api, "anthropic-messages") == 0 && sv_ends(b, SV("/v1"))) {
        b.n -= 3;
    }
    return xasprintf("%.*s%s", SV_ARG(b), add_v1 ? "/v1" : "");
}

/* models is a list of names, or a list of groups: models.0.id, models.0.contextWindow ... */
static void read_models(struct provider *p, const struct conf *c)
{
    char path[256], nth[32], key[320];
    (void)snprintf(path, sizeof path, PROVIDERS ".%s.models", p->id);
    for (size_t i = 0; i < conf_count(c, path) && p->models_n < PROVIDER_MODELS_MAX; i++) {
        p->models[p->models_n++].id = xstrdup(conf_at(c, path, i));
    }
    for (size_t i = 0; conf_child(c, path, i, nth, sizeof nth) && p->models_n < PROVIDER_MODELS_MAX; i++) {
        (void)snprintf(key, sizeof key, "%s.%s.id", path, nth);
        const char *id = conf_str(c, key, NULL);
        if (!id) {
            continue;
        }
        struct model_info *mi = &p->models[p->models_n++];
        mi->id = xstrdup(id);
        (void)snprintf(key, sizeof key, "%s.%s.contextWindow", path, nth);
        mi->window = (uint64_t)conf_int(c, key, 0);
        (void)snprintf(key, sizeof key, "%s.%s.maxTokens", path, nth);
        mi->max_tokens = (uint64_t)conf_int(c, key, 0);
    }
}

static const char *env_key(const struct conf *c, const char *id)
{
    if (strcmp(id, "anthropic") == 0) {
        return conf_secret(c, "models.env.anthropic", NULL);
    }
    return strcmp(id, "openai") == 0 ? conf_secret(c, "models.env.openai", NULL) : NULL;
}

/* OLLAMA_HOST may be a port, a host, or both, with or without a scheme. */
static char *ollama_base(const char *host)
{
    sv h = sv_trim(sv_of(host));
    bool scheme = sv_starts(h, SV("http://")) || sv_starts(h, SV("https://"));
    sv rest = scheme ? sv_sub(h, (size_t)sv_find(h, SV("//")) + 2, h.n) : h;
    while (rest.n > 0 && rest.p[rest.n - 1] == '/') {
        rest.n--;
        h.n--;
    }
    const char *port = sv_chr(rest, ':') < 0 ? ":11434" : "";
    if (sv_starts(rest, SV("0.0.0.0"))) { /* where it listens, not where it is reached */
        return xasprintf("http://127.0.0.1%.*s%s/v1", SV_ARG(sv_sub(rest, 7, rest.n)), port);
    }
    if (sv_starts(rest, SV(":"))) {
        return xasprintf("http://127.0.0.1%.*s/v1", SV_ARG(rest));
    }
    return xasprintf("%s%.*s%s/v1", scheme ? "" : "http://", SV_ARG(h), port);
}

static void add_provider(struct models *m, const char *id, bool configured)
{
    if (m->providers_n == PROVIDERS_MAX) {
        return;
    }
    struct provider *p = &m->providers[m->providers_n++];
    memset(p, 0, sizeof *p);
    p->id = xstrdup(id);
    p->row = provider_row(id);
    p->configured = configured;
    const char *api = item(m->conf, id, "api", p->row ? p->row->api : "openai-completions");
    p->dialect = provider_dialect(api);
    const char *base = item(m->conf, id, "baseUrl", p->row ? p->row->base_url : "");
    const char *host = conf_str(m->conf, "models.env.ollamaHost", NULL);
    bool own_base = item(m->conf, id, "baseUrl", NULL) != NULL;
    p->base_url = strcmp(id, "ollama") == 0 && !own_base && host ? ollama_base(host) : clean_base(base, api);
    char *path_of_key = xasprintf(PROVIDERS ".%s.apiKey", id);
    const char *key = conf_secret(m->conf, path_of_key, env_key(m->conf, id));
    xfree(path_of_key);
    if (key && key[0] != '\0') {
        secret_set(&p->key, sv_of(key));
    }
    p->self_hosted = is_local(p->base_url) || (p->row && p->row->self_hosted && !own_base);
    p->needs_key = p->row && !p->row->self_hosted && !is_local(p->base_url);
    char path[256];
    (void)snprintf(path, sizeof path, PROVIDERS ".%s.timeout", id);
    p->idle_ms = conf_int(m->conf, path, p->self_hosted ? IDLE_SELF_HOSTED_MS : IDLE_CLOUD_MS);
    read_models(p, m->conf);
    struct url u;
    if (!p->dialect) {
        p->problem = xasprintf("models.providers.%s.api \"%s\" is not supported; use openai-completions or "
                               "anthropic-messages", id, api);
    } else if (p->dialect->path && !url_parse(sv_of(p->base_url), &u)) {
        p->problem = xasprintf("models.providers.%s.baseUrl is missing or not an http(s) address", id);
    } else if (p->needs_key && p->key.n == 0) {
        p->problem = xasprintf("there is no API key for %s: set models.providers.%s.apiKey%s", id, id,
                               strcmp(id, "anthropic") == 0 ? " or ANTHROPIC_API_KEY"
                               : strcmp(id, "openai") == 0  ? " or OPENAI_API_KEY"
                                                            : "");
    }
}

struct provider *models_provider(struct models *m, sv id)
{
    for (size_t i = 0; i < m->providers_n; i++) {
        if (sv_eqc(id, m->providers[i].id)) {
            return &m->providers[i];
        }
    }
    return NULL;
}

void models_init(struct models *m, struct loop *l, struct http_client *http, const struct conf *conf,
                 void (*on_change)(void *ctx), void *ctx)
{
    static const char *const known[] = {
#define PROVIDER(id, api, base_url, model, self_hosted, window, max_tokens, doc) #id,
#include "agent/provider/providers.def"
#undef PROVIDER
    };
    memset(m, 0, sizeof *m);
    m->loop = l;
    m->http = http;
    m->conf = conf;
    m->on_change = on_change;
    m->ctx = ctx;
    m->autodetect = conf_bool(conf, "models.autodetect", true);
    m->offline_ok = conf_bool(conf, "models.offlineResponder", true);
    char id[65];
    for (size_t i = 0; conf_child(conf, PROVIDERS, i, id, sizeof id); i++) {
        add_provider(m, id, true);
    }
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (!models_provider(m, sv_of(known[i]))) {
            add_provider(m, known[i], false);
        }
    }
    autodetect_start(m);
}

void models_free(struct models *m)
{
    autodetect_stop(m);
    for (size_t i = 0; i < m->providers_n; i++) {
        struct provider *p = &m->providers[i];
        xfree(p->id);
        xfree(p->base_url);
        xfree(p->problem);
        secret_free(&p->key);
        for (size_t k = 0; k < p->models_n; k++) {
            xfree(p->models[k].id);
        }
    }
    m->providers_n = 0;
}

/* ---- selection ------------------------------------------------------------------------------------- */

static void fill_choice(struct model_choice *c, const struct provider *p, sv model)
{
    c->provider = p;
    (void)sv_copy(c->model, sizeof c->model, model);
    c->offline = p->dialect && p->dialect->path == NULL;
    c->window = p->row ? p->row->window : p->self_hosted ? 8192 : 64000;
    c->max_tokens = p->row ? p->row->max_tokens : 0;
    for (size_t i = 0; i < p->models_n; i++) {
        if (sv_eqc(model, p->models[i].id)) {
            c->window = p->models[i].window ? p->models[i].window : c->window;
            c->max_tokens = p->models[i].max_tokens ? p->models[i].max_tokens : c->max_tokens;
        }
    }
}

static int pick_named(const struct models *m, sv name, struct model_choice *out, struct buf *why)
{
    sv model = name;
    sv id = sv_cut(&model, '/'); /* model names may contain slashes themselves */
    const struct provider *p = NULL;
    for (size_t i = 0; i < m->providers_n; i++) {
        if (sv_eqc(id, m->providers[i].id)) {
            p = &m->providers[i];
        }
    }
    if (!p) {
        buf_printf(why, "%.*s: there is no provider \"%.*s\". Add models.providers.%.*s with api and baseUrl.",
                   SV_ARG(name), SV_ARG(id), SV_ARG(id));
        return ERR_UNAVAILABLE;
    }
    if (model.n == 0 && p->models_n > 0) {
        model = sv_of(p->models[0].id);
    }
    if (model.n == 0 && p->row) {
        model = sv_of(p->row->model);
    }
    if (p->problem) {
        buf_printf(why, "%.*s: %s.", SV_ARG(name), p->problem);
        return ERR_UNAVAILABLE;
    }
    if (model.n == 0 || model.n > MODEL_NAME_MAX) {
        buf_printf(why, "%.*s: no usable model name. Write it as %s/MODEL.", SV_ARG(name), p->id);
        return ERR_UNAVAILABLE;
    }
    fill_choice(out, p, model);
    if (out->offline && !m->offline_ok) {
        buf_str(why, "offline/guide: the offline responder is switched off (models.offlineResponder).");
        return ERR_UNAVAILABLE;
    }
    return OK;
}

/* The first configured provider that has a model; nothing is asked over the network. */
static bool pick_configured(const struct models *m, struct model_choice *out)
{
    for (size_t i = 0; i < m->providers_n; i++) {
        const struct provider *p = &m->providers[i];
        sv model = p->models_n > 0                  ? sv_of(p->models[0].id)
                   : p->row && p->row->model[0] != 0 ? sv_of(p->row->model)
                                                    : SV_NULL;
        if (p->configured && !p->problem && model.n > 0) {
            fill_choice(out, p, model);
            (void)snprintf(out->why, sizeof out->why, "first model of models.providers.%s", p->id);
            return true;
        }
    }
    return false;
}

static int pick_auto(const struct models *m, struct model_choice *out, struct buf *why)
{
    if (pick_configured(m, out)) {
        return OK;
    }
    if (m->pending) {
        return ERR_BUSY;
    }
    if (m->automatic.provider) {
        *out = m->automatic;
        return OK;
    }
    if (!m->offline_ok) {
        buf_printf(why, "No model is configured%s%s, and the offline responder is switched off. Install Ollama, set "
                        "ANTHROPIC_API_KEY or OPENAI_API_KEY, or add models.providers to the configuration.",
                   m->hint[0] ? ": " : "", m->hint);
        return ERR_UNAVAILABLE;
    }
    int rc = pick_named(m, SV("offline/guide"), out, why);
    (void)snprintf(out->why, sizeof out->why, "no model was found%s%.100s", m->hint[0] ? ": " : "", m->hint);
    return rc;
}

int models_pick(const struct models *m, const char *agent, sv want, size_t n, struct model_choice *out,
                struct buf *why)
{
    char path[160];
    memset(out, 0, sizeof *out);
    if (n > 0) {
        const char *next = conf_at(m->conf, "agents.defaults.model.fallbacks", n - 1);
        if (!next) {
            return ERR_GONE;
        }
        (void)snprintf(out->why, sizeof out->why, "agents.defaults.model.fallbacks");
        return sv_eqc(SV("auto"), next) ? pick_auto(m, out, why) : pick_named(m, sv_of(next), out, why);
    }
    const char *from = "asked for by the sender";
    if (want.n == 0) {
        (void)snprintf(path, sizeof path, "agents.entries.%.64s.model.primary", agent);
        want = sv_of(conf_str(m->conf, path, NULL));
        from = "the agent's model.primary";
    }
    if (want.n == 0) {
        want = sv_of(conf_str(m->conf, "agents.defaults.model.primary", "auto"));
        from = "agents.defaults.model.primary";
    }
    if (sv_eq(want, SV("auto"))) {
        return pick_auto(m, out, why);
    }
    (void)snprintf(out->why, sizeof out->why, "%s", from);
    return pick_named(m, want, out, why);
}

struct call_target models_target(const struct model_choice *c)
{
    return (struct call_target){
        .dialect = c->provider->dialect,
        .base_url = c->provider->base_url,
        .key = &c->provider->key,
        .idle_ms = c->provider->idle_ms,
    };
}
