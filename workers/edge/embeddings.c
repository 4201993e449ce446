/*
 * embeddings.c: POST /v1/embeddings: no provider of this gateway makes them yet, so a good request gets the error that
 *               says so, and a bad one is told what is wrong with it (http-surfaces.md 5.5).
 * Runs in: edge.     Owns: nothing.
 * Never: makes numbers up.
 * Tested in: tests/conformance/openai.test.mjs
 */
#include "common/json.h"
#include "workers/edge/http.h"

void route_embeddings(struct http_req *r);

#define INPUTS_MAX 2048

static bool input_ok(const json_t *v)
{
    if (json_is_string(v)) {
        return true;
    }
    bool good = json_is_array(v) && json_array_size(v) > 0 && json_array_size(v) <= INPUTS_MAX;
    for (size_t i = 0; good && i < json_array_size(v); i++) {
        good = json_is_string(json_array_get(v, i));
    }
    return good;
}

static void refuse(struct http_req *r, const char *param, const char *text)
{
    const struct http_fail f = {.status = 400, .type = "invalid_request_error", .code = "invalid_value", .param = param,
                                .text = sv_of(text)};
    http_fail(r, &f);
}

void route_embeddings(struct http_req *r)
{
    ATTR_CLEANUP(json_free) json_t *v = json_parse(buf_view(&r->body), NULL, 0);
    sv format = json_sv(v, "encoding_format");
    if (!json_is_object(v)) {
        http_error(r, 400, "invalid_request_error", "invalid_json", "The body is not a JSON object.");
    } else if (!input_ok(json_object_get(v, "input"))) {
        refuse(r, "input", "`input` must be a string or an array of at most 2048 strings.");
    } else if (format.n > 0 && !sv_eqc(format, "float") && !sv_eqc(format, "base64")) {
        refuse(r, "encoding_format", "`encoding_format` must be float or base64.");
    } else {
        http_error(r, 503, "service_unavailable", "embeddings_unavailable",
                   "No provider of this gateway makes embeddings.");
    }
}
