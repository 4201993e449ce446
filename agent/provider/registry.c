/*
 * registry.c: the tables of dialects and of well-known providers.
 * Runs in: agent.     Owns: the tables.
 * Never: configuration (that is agent/models.c).
 * Tested in: tests/unit/agent/test_models.c
 */
#include "agent/provider/provider.h"

#include "common/attrs.h"

static const struct provider_row rows[] = {
#define PROVIDER(id, api, base_url, model, self_hosted, window, max_tokens, doc)                   \
    {#id, api, base_url, model, self_hosted, window, max_tokens, doc},
#include "agent/provider/providers.def"
#undef PROVIDER
};

static const struct dialect *const dialects[] = {&dialect_openai, &dialect_anthropic, &dialect_offline};

const struct provider_row *provider_row(const char *id)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].id, id) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

const struct dialect *provider_dialect(const char *api)
{
    /* Ollama's own API is served by its OpenAI-compatible interface (models.c appends "/v1"). */
    const char *name = strcmp(api, "ollama") == 0 ? "openai-completions" : api;
    for (size_t i = 0; i < ARRAY_LEN(dialects); i++) {
        if (strcmp(dialects[i]->api, name) == 0) {
            return dialects[i];
        }
    }
    return NULL;
}
