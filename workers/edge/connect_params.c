/*
 * connect_params.c: see connect_params.h.
 * Runs in: edge.     Owns: nothing.
 * Never: refuses a member it does not know (section 4: newer clients add fields).
 * Tested in: tests/unit/edge/test_connect_params.c
 */
#include "workers/edge/connect_params.h"

#include "workers/edge/params.h"

#define CLIENT_IDS                                                                                 \
    "webchat-ui|openclaw-control-ui|openclaw-browser-copilot|openclaw-tui|webchat|cli|"            \
    "gateway-client|openclaw-macos|openclaw-linux|openclaw-ios|openclaw-watchos|openclaw-android|" \
    "node-host|openclaw-worker|test|fingerprint|openclaw-probe"
#define CLIENT_MODES "webchat|cli|ui|backend|node|worker|probe|test"
#define SCOPES_MAX 1024 /* bytes of the joined list; messages.def DEVICE.scopes */

#define STR(name, need, ...) {name, P_STR, need, __VA_ARGS__, NULL}
#define ANY_LEN PARAM_NO, PARAM_NO, NULL
#define END {NULL, P_ANY, false, 0, 0, NULL, NULL}

static const struct param CLIENT[] = {
    STR("id", true, PARAM_NO, PARAM_NO, CLIENT_IDS),
    STR("version", true, 1, 128, NULL),
    STR("platform", true, 1, 64, NULL),
    STR("mode", true, PARAM_NO, PARAM_NO, CLIENT_MODES),
    STR("displayName", false, PARAM_NO, 256, NULL),
    STR("deviceFamily", false, PARAM_NO, 64, NULL),
    STR("modelIdentifier", false, PARAM_NO, 256, NULL),
    STR("timeZone", false, PARAM_NO, 64, NULL),
    STR("instanceId", false, PARAM_NO, 256, NULL),
    STR("buildId", false, PARAM_NO, 96, NULL),
    END,
};

static const struct param AUTH[] = {
    STR("token", false, ANY_LEN),
    STR("password", false, ANY_LEN),
    STR("deviceToken", false, ANY_LEN),
    STR("bootstrapToken", false, ANY_LEN),
    STR("approvalRuntimeToken", false, ANY_LEN),
    STR("agentRuntimeIdentityToken", false, ANY_LEN),
    END,
};

static const struct param DEVICE[] = {
    STR("id", true, 1, 128, NULL),
    STR("publicKey", true, 1, 512, NULL),
    STR("signature", true, 1, 512, NULL),
    {"signedAt", P_INT, true, 0, PARAM_NO, NULL, NULL},
    STR("nonce", true, 1, 128, NULL),
    END,
};

static const struct param RESUME[] = {
    {"lastSeq", P_INT, true, 0, PARAM_NO, NULL, NULL},
    STR("bootId", false, PARAM_NO, 64, NULL),
    END,
};

static const struct param CONNECT[] = {
    {"minProtocol", P_INT, true, 1, PARAM_NO, NULL, NULL},
    {"maxProtocol", P_INT, true, 1, PARAM_NO, NULL, NULL},
    {"client", P_OBJ, true, PARAM_NO, PARAM_NO, NULL, CLIENT},
    STR("role", false, ANY_LEN),
    {"scopes", P_STRS, false, PARAM_NO, PARAM_NO, NULL, NULL},
    {"caps", P_STRS, false, PARAM_NO, PARAM_NO, NULL, NULL},
    {"commands", P_STRS, false, PARAM_NO, PARAM_NO, NULL, NULL},
    {"permissions", P_OBJ, false, PARAM_NO, PARAM_NO, NULL, NULL},
    STR("pathEnv", false, ANY_LEN),
    {"auth", P_OBJ, false, PARAM_NO, PARAM_NO, NULL, AUTH},
    {"device", P_OBJ, false, PARAM_NO, PARAM_NO, NULL, DEVICE},
    STR("locale", false, ANY_LEN),
    STR("userAgent", false, ANY_LEN),
    {"resume", P_OBJ, false, PARAM_NO, PARAM_NO, NULL, RESUME},
    END,
};

static const struct {
    const char *name;
    uint32_t bit;
} CAPS[] = {
#define CAP(bit, name) {name, CAP_##bit},
#include "workers/edge/caps.def"
#undef CAP
};

static void join_scopes(const json_t *list, struct buf *dst)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (i > 0) {
            buf_ch(dst, ',');
        }
        const json_t *s = json_array_get(list, i);
        buf_add(dst, json_string_value(s), json_string_length(s));
    }
}

static uint32_t read_caps(const json_t *list)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        for (size_t k = 0; k < ARRAY_LEN(CAPS); k++) {
            if (sv_eqc(sv_of(json_string_value(json_array_get(list, i))), CAPS[k].name)) {
                bits |= CAPS[k].bit;
            }
        }
    }
    return bits;
}

static sv first_given(sv a, sv b, sv c)
{
    return a.n > 0 ? a : b.n > 0 ? b : c.n > 0 ? c : SV("");
}

static void read_device(const json_t *params, struct connect_params *out)
{
    out->has_device = json_object_get(params, "device") != NULL;
    out->device = (struct device_proof){
        .id = json_sv(params, "device.id"),
        .public_key = json_sv(params, "device.publicKey"),
        .signature = json_sv(params, "device.signature"),
        .nonce = json_sv(params, "device.nonce"),
        .signed_at_ms = json_i64(params, "device.signedAt", 0),
        .client_id = out->client_id,
        .client_mode = out->mode,
        .role = out->role,
        .scopes = buf_view(&out->scopes),
        .token = first_given(out->token, out->device_token, out->bootstrap_token),
        .platform = out->platform,
        .family = out->family,
    };
}

bool connect_params_parse(json_t *params, struct connect_params *out, struct buf *why)
{
    *out = (struct connect_params){.scopes = BUF_INIT(SCOPES_MAX)};
    if (!params_check(params, CONNECT, PARAM_LENIENT, why)) {
        return false;
    }
    out->min_protocol = json_i64(params, "minProtocol", 0);
    out->max_protocol = json_i64(params, "maxProtocol", 0);
    out->client_id = json_sv(params, "client.id");
    out->version = json_sv(params, "client.version");
    out->platform = json_sv(params, "client.platform");
    out->mode = json_sv(params, "client.mode");
    out->display_name = json_sv(params, "client.displayName");
    out->family = json_sv(params, "client.deviceFamily");
    out->instance_id = json_sv(params, "client.instanceId");
    out->role = json_sv(params, "role");
    if (out->role.n == 0) {
        out->role = SV("operator");
    }
    out->token = json_sv(params, "auth.token");
    out->password = json_sv(params, "auth.password");
    out->device_token = json_sv(params, "auth.deviceToken");
    out->bootstrap_token = json_sv(params, "auth.bootstrapToken");
    out->resume = json_object_get(params, "resume") != NULL;
    out->resume_seq = (uint64_t)json_i64(params, "resume.lastSeq", 0);
    out->resume_boot = json_sv(params, "resume.bootId");
    join_scopes(json_object_get(params, "scopes"), &out->scopes);
    out->caps = read_caps(json_object_get(params, "caps"));
    if (out->scopes.full) {
        buf_printf(why, "at /scopes: must not be longer than %d bytes in all", SCOPES_MAX);
        return false;
    }
    read_device(params, out);
    return true;
}

void connect_params_free(struct connect_params *p)
{
    buf_free(&p->scopes);
}

bool connect_protocol_ok(const struct connect_params *p)
{
    if (p->min_protocol > PROTOCOL_VERSION) {
        return false;
    }
    bool older = sv_eqc(p->mode, "probe") || (sv_eqc(p->mode, "node") && sv_eqc(p->role, "node"));
    return p->max_protocol >= (older ? PROTOCOL_PROBE_MIN : PROTOCOL_VERSION);
}

bool connect_is(const struct connect_params *p, const char *id, const char *mode)
{
    return sv_eqc(p->client_id, id) && sv_eqc(p->mode, mode);
}

bool connect_is_browser(const struct connect_params *p)
{
    return sv_eqc(p->mode, "webchat") ||
           one_of("webchat-ui|openclaw-control-ui|openclaw-browser-copilot|webchat", p->client_id);
}

bool connect_is_ui(const struct connect_params *p)
{
    return connect_is_browser(p) || sv_eqc(p->mode, "ui");
}

bool connect_has_secret(const struct connect_params *p)
{
    return p->token.n > 0 || p->password.n > 0 || p->device_token.n > 0 || p->bootstrap_token.n > 0;
}
