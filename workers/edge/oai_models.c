/*
 * oai_models.c: GET /v1/models: the agents of this gateway as "models".
 * Runs in: edge.     Owns: nothing.
 * Never: shows a provider's model: which one an agent uses is the gateway's business.
 * Tested in: tests/scn/h1-http.test.mjs
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/conf.h"
#include "workers/edge/oai.h"

void route_models(struct http_req *r);
void route_model(struct http_req *r);

/* The i-th agent's id; false: there are no more. */
static bool agent_at(const struct edge *e, size_t i, char name[65])
{
    size_t left = i;
    if (i == 0) {
        return sv_copy(name, 65, SV(EDGE_DEFAULT_AGENT));
    }
    for (size_t k = 0; conf_child(worker_conf(e->w), "agents.entries", k, name, 65); k++) {
        if (!sv_eqc(SV(EDGE_DEFAULT_AGENT), name) && --left == 0) {
            return true;
        }
    }
    return false;
}

static sv after(sv name, sv prefix)
{
    return sv_starts(name, prefix) ? sv_sub(name, prefix.n, name.n) : SV_NULL;
}

enum oai_model oai_agent_of(const struct edge *e, sv model, char agent[65])
{
    static const sv prefixes[] = {{"tenaza/", 7}, {"agent:", 6}, {"openclaw/", 9}, {"openclaw:", 9}};
    sv_copy(agent, 65, SV(EDGE_DEFAULT_AGENT));
    if (model.n == 0 || sv_eqc(model, "tenaza") || sv_eqc(model, "openclaw")) {
        return OAI_MODEL_OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        sv id = after(model, prefixes[i]);
        if (id.p == NULL) {
            continue;
        }
        if (sv_eqc(id, "default")) {
            return OAI_MODEL_OK;
        }
        return id.n > 0 && edge_agent_known(e, id) && sv_copy(agent, 65, id) ? OAI_MODEL_OK : OAI_AGENT_UNKNOWN;
    }
    return strcmp(conf_str(worker_conf(e->w), "edge.http.unknownModel", "reject"), "default") == 0 ? OAI_MODEL_OK : OAI_MODEL_UNKNOWN;
}

void oai_no_model(struct http_req *r, enum oai_model why, sv model)
{
    struct buf b = BUF_INIT(2000);
    char name[65];
    bool agent = why == OAI_AGENT_UNKNOWN;
    buf_printf(&b, "The model \"%.*s\" does not exist here. Models are agents of this gateway:", SV_ARG(sv_sub(model, 0, 100)));
    for (size_t i = 0; agent_at(r->e, i, name) && i < 16; i++) {
        buf_printf(&b, "%s tenaza/%s", i ? "," : "", name);
    }
    const struct http_fail f = {
        .status = 404,
        .type = "not_found_error",
        .code = agent ? "agent_not_found" : "model_not_found",
        .param = "model",
        .text = buf_view(&b),
    };
    http_fail(r, &f);
    buf_free(&b);
}

static void add_model(struct buf *b, const struct edge *e, const char *name)
{
    buf_str(b, "{\"id\":\"tenaza/");
    buf_str(b, name);
    buf_printf(b, "\",\"object\":\"model\",\"created\":%" PRId64 ",\"owned_by\":\"tenaza\"}", e->started_ms / 1000);
}

void route_models(struct http_req *r)
{
    struct buf b = BUF_INIT(65536);
    char name[65];
    buf_str(&b, "{\"object\":\"list\",\"data\":[");
    add_model(&b, r->e, "default");
    for (size_t i = 0; agent_at(r->e, i, name); i++) {
        buf_ch(&b, ',');
        add_model(&b, r->e, name);
    }
    buf_str(&b, "]}");
    http_answer(r, 200, "application/json", buf_view(&b), NULL);
    buf_free(&b);
}

/* An id comes as one segment or as two, because clients encode its slash and the transport decodes it. */
void route_model(struct http_req *r)
{
    char id[256], agent[65];
    sv first = r->match.arg[0], second = r->match.arg[1];
    snprintf(id, sizeof id, "%.*s%s%.*s", SV_ARG(first), second.n > 0 ? "/" : "", SV_ARG(second));
    enum oai_model found = oai_agent_of(r->e, sv_of(id), agent);
    if (found != OAI_MODEL_OK) {
        oai_no_model(r, found, sv_of(id));
        return;
    }
    struct buf b = BUF_INIT(4096);
    add_model(&b, r->e, sv_eqc(second, "default") ? "default" : agent);
    http_answer(r, 200, "application/json", buf_view(&b), NULL);
    buf_free(&b);
}
