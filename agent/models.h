/*
 * models.h: which providers and models there are, and which one a run uses.
 * Runs in: agent.     Owns: providers with their keys, the automatic choice, the probes under way.
 * Never: chooses the offline responder because a model failed; prints a key.
 * Tested in: tests/unit/agent/test_models.c
 */
#ifndef TENAZA_AGENT_MODELS_H
#define TENAZA_AGENT_MODELS_H

#include "agent/provider/call.h"
#include "agent/provider/provider.h"
#include "common/attrs.h"
#include "common/conf.h"
#include "common/http.h"
#include "common/loop.h"

#define MODEL_NAME_MAX 128
#define PROVIDERS_MAX 64
#define PROVIDER_MODELS_MAX 64

#define IDLE_CLOUD_MS 120000      /* agent-runtime.md 7.5 */
#define IDLE_SELF_HOSTED_MS 300000
#define PROBE_MS 300              /* operations.md 2.3 */
#define REPROBE_MS 60000          /* while only the offline responder is there */

struct model_info {
    char *id;
    uint64_t window, max_tokens; /* 0: as the provider's row says */
};

struct provider {
    char *id, *base_url; /* base_url without a slash at the end */
    const struct dialect *dialect;
    const struct provider_row *row; /* NULL: known from the configuration only */
    struct secret key;
    struct model_info models[PROVIDER_MODELS_MAX];
    size_t models_n;
    int64_t idle_ms;
    bool configured;  /* stands in models.providers */
    bool self_hosted; /* loopback or private address */
    bool needs_key;
    char *problem;    /* why it cannot be used; NULL: it can */
};

/* What one model call goes to. */
struct model_choice {
    const struct provider *provider;
    char model[MODEL_NAME_MAX + 1];
    uint64_t window, max_tokens; /* tokens; max_tokens 0: the server's default */
    bool offline;
    char why[160]; /* how it was chosen, for people */
};

struct models {
    struct loop *loop;
    struct http_client *http; /* NULL: no probes (tests of the pure part) */
    const struct conf *conf;
    struct provider providers[PROVIDERS_MAX];
    size_t providers_n;
    bool autodetect, offline_ok;

    struct model_choice automatic; /* provider NULL: nothing found */
    bool pending;                  /* probes are under way for the first time */
    char hint[200];                /* why nothing was found; for the offline responder */
    struct probe *probes;
    size_t probes_left;
    struct loop_timer reprobe;
    void (*on_change)(void *ctx); /* automatic choice is there or has changed */
    void *ctx;
};

void models_init(struct models *m, struct loop *l, struct http_client *http, const struct conf *conf,
                 void (*on_change)(void *ctx), void *ctx);
void models_free(struct models *m); /* after the HTTP client: that ends the probes */

/* The n-th candidate of a run (0: wanted, or the agent's own, or the default; then the configured
 * fallbacks). want: "provider/model", "auto" or empty. 0; ERR_BUSY: probes are under way, ask again after
 * on_change; ERR_GONE: no further candidate; ERR_UNAVAILABLE: *why has one line for the user. */
int models_pick(const struct models *m, const char *agent, sv want, size_t n, struct model_choice *out,
                struct buf *why) ATTR_NODISCARD;
struct provider *models_provider(struct models *m, sv id); /* NULL: unknown */
struct call_target models_target(const struct model_choice *c);

/* Automatic choice (autodetect.c). */
void autodetect_start(struct models *m);
void autodetect_stop(struct models *m);
/* Pure halves of a probe: the best of an answer; false: none. Ollama's list has sizes. */
bool autodetect_ollama(sv body, uint64_t free_bytes, char *model, size_t cap, size_t *count);
bool autodetect_list(sv body, char *model, size_t cap, size_t *count);

#endif
