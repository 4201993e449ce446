/*
 * offline.c: what the offline responder says (operations.md 2.3).
 * Runs in: agent.     Owns: its texts.
 * Never: input or output.
 * Tested in: tests/unit/agent/test_offline.c
 */
#include "agent/provider/offline.h"

#include <stdio.h>

#include "agent/provider/expr.h"
#include "agent/provider/provider.h"
#include "common/attrs.h"

enum lang { EN, ES };

/* A topic answers when one of its words occurs as a word; the first row wins. */
struct topic {
    const char *words[14];
    void (*say)(const struct offline_req *q, enum lang lang, struct buf *dst);
};

static bool word_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0;
}

static bool has_word(sv text, const char *word)
{
    sv w = sv_of(word);
    for (size_t i = 0; i + w.n <= text.n; i++) {
        bool starts = i == 0 || !word_char(text.p[i - 1]);
        bool ends = i + w.n == text.n || !word_char(text.p[i + w.n]);
        if (starts && ends && sv_eq_nocase(sv_sub(text, i, w.n), w)) {
            return true;
        }
    }
    return false;
}

static const char how_en[] =
    "How to give me a model:\n"
    "1. On this machine: install Ollama (https://ollama.com), then `ollama pull qwen3:8b`. I find it within a minute. "
    "LM Studio on port 1234 works the same way.\n"
    "2. With a key: stop, `export ANTHROPIC_API_KEY=...` or `export OPENAI_API_KEY=...`, start again. Calls cost money at the provider.\n"
    "3. In the configuration: `models.providers.NAME = { api = \"openai-completions\"; baseUrl = \"http://HOST:PORT/v1\"; "
    "models = ( { id = \"MODEL\"; } ); };` and `agents.defaults.model.primary = \"NAME/MODEL\";`";
static const char how_es[] =
    "Cómo darme un modelo:\n"
    "1. En esta máquina: instale Ollama (https://ollama.com) y luego `ollama pull qwen3:8b`. Lo encuentro en un minuto. "
    "LM Studio en el puerto 1234 sirve igual.\n"
    "2. Con una clave: pare, `export ANTHROPIC_API_KEY=...` o `export OPENAI_API_KEY=...`, y arranque de nuevo. Las llamadas cuestan dinero en el proveedor.\n"
    "3. En la configuración: `models.providers.NOMBRE = { api = \"openai-completions\"; baseUrl = \"http://SERVIDOR:PUERTO/v1\"; "
    "models = ( { id = \"MODELO\"; } ); };` y `agents.defaults.model.primary = \"NOMBRE/MODELO\";`";

static void say_hint(const struct offline_req *q, struct buf *dst)
{
    if (q->hint && q->hint[0] != '\0') {
        buf_printf(dst, "\n\n(%s)", q->hint);
    }
}

static void say_model(const struct offline_req *q, enum lang lang, struct buf *dst)
{
    buf_str(dst, lang == ES ? how_es : how_en);
    say_hint(q, dst);
}

static void say_help(const struct offline_req *q, enum lang lang, struct buf *dst)
{
    (void)q;
    buf_str(dst, lang == ES ? "No soy un modelo de lenguaje: soy la guía integrada de Tenaza. Puedo:\n"
                              "- decir la hora y la fecha (\"¿qué hora es?\")\n"
                              "- calcular (\"cuánto es (3 + 4) * 2,5\")\n"
                              "- decir el estado (\"estado\")\n"
                              "- explicar cómo añadir un modelo (\"modelo\")"
                            : "I am not a language model: I am the built-in guide of Tenaza. I can:\n"
                              "- tell the time and the date (\"what time is it?\")\n"
                              "- calculate (\"what is (3 + 4) * 2.5\")\n"
                              "- tell the status (\"status\")\n"
                              "- explain how to add a model (\"model\")");
}

static void say_status(const struct offline_req *q, enum lang lang, struct buf *dst)
{
    buf_printf(dst,
               lang == ES ? "Tenaza %s funciona: su mensaje llegó, quedó guardado y esta respuesta volvió. "
                            "No soy un modelo de lenguaje y no hay ninguno configurado.\n"
                            "- agente: %s\n- sesión: %s\n- modelo: offline/guide\n- hora: %s, %s (%s)"
                          : "Tenaza %s works: your message arrived, was stored, and this answer came back. "
                            "I am not a language model, and none is configured.\n"
                            "- agent: %s\n- session: %s\n- model: offline/guide\n- time: %s, %s (%s)",
               TENAZA_VERSION, q->agent, q->session, q->date, q->time, q->zone);
    say_hint(q, dst);
}

static void say_time(const struct offline_req *q, enum lang lang, struct buf *dst)
{
    buf_printf(dst, lang == ES ? "Son las %s del %s (%s)." : "It is %s on %s (%s).", q->time, q->date, q->zone);
}

static void say_who(const struct offline_req *q, enum lang lang, struct buf *dst)
{
    (void)q;
    buf_str(dst, lang == ES
                     ? "Tenaza es una pasarela propia entre aplicaciones de chat y agentes de IA. Yo soy su guía integrada, "
                       "no un modelo de lenguaje: respondo con textos fijos mientras no haya un modelo. Escriba \"ayuda\" o \"modelo\"."
                     : "Tenaza is a self-hosted gateway between chat apps and AI agents. I am its built-in guide, not a language "
                       "model: I answer with fixed texts until there is a model. Write \"help\" or \"model\".");
}

static void say_hello(const struct offline_req *q, enum lang lang, struct buf *dst)
{
    buf_str(dst, lang == ES ? "¡Hola! Todo está conectado, pero no soy un modelo de lenguaje. "
                              "Puedo decir la hora, calcular y explicar cómo añadir un modelo. "
                            : "Hello! Everything is connected, but I am not a language model. "
                              "I can tell the time, calculate and explain how to add a model. ");
    buf_str(dst, lang == ES ? "Escriba \"ayuda\" para la lista.\n\n" : "Write \"help\" for the list.\n\n");
    say_model(q, lang, dst);
}

static void say_else(const struct offline_req *q, enum lang lang, struct buf *dst)
{
    buf_str(dst, lang == ES ? "No soy un modelo de lenguaje y no puedo contestar a eso. "
                              "Puedo decir la hora y la fecha, calcular y decir el estado (\"ayuda\" los enumera).\n\n"
                            : "I am not a language model and cannot answer that. "
                              "I can tell the time and date, calculate, and tell the status (\"help\" lists them).\n\n");
    say_model(q, lang, dst);
}

static const struct topic topics[] = {
    {{"/help", "help", "ayuda", "/ayuda", "commands", "comandos", "what can you do", "qué puedes hacer", "que puedes hacer", NULL}, say_help},
    {{"/status", "status", "estado", "/estado", NULL}, say_status},
    {{"model", "models", "modelo", "modelos", "ollama", "lm studio", "api key", "openai", "anthropic", NULL}, say_model},
    {{"time", "date", "hora", "fecha", "clock", "what day", "qué día", "que dia", "today", NULL}, say_time},
    {{"tenaza", "who are you", "what are you", "quién eres", "quien eres", "qué eres", "que eres", NULL}, say_who},
    {{"hello", "hi", "hey", "hola", "buenas", "buenos días", "good morning", "good evening", NULL}, say_hello},
};

static enum lang language(const struct offline_req *q)
{
    static const char *const es[] = {"hola", "qué", "que", "cuánto", "cuanto", "cuántos", "es", "hora", "fecha",
                                     "ayuda", "estado", "cómo", "como", "modelo", "gracias", "buenas", "eres", "el", "la"};
    static const char *const en[] = {"hello", "hi", "what", "how", "is", "the", "time", "date", "help",
                                     "status", "model", "you", "a", "much", "please", "thanks", "who"};
    unsigned n_es = 0, n_en = 0;
    for (size_t i = 0; i < ARRAY_LEN(es); i++) {
        n_es += has_word(q->text, es[i]) ? 1 : 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(en); i++) {
        n_en += has_word(q->text, en[i]) ? 1 : 0;
    }
    if (n_es != n_en) {
        return n_es > n_en ? ES : EN;
    }
    return q->spanish ? ES : EN;
}

/* "what is 3 + 4?" -> "3 + 4" */
static sv strip_question(sv text)
{
    static const char *const lead[] = {"what is", "what's", "how much is", "calculate", "compute", "calc",
                                       "cuánto es", "cuanto es", "cuánto son", "cuanto son", "calcula",
                                       "calcular", "calcule", "\xc2\xbf", "=", NULL};
    text = sv_trim(text);
    while (text.n > 0 && strchr("?=!.:", text.p[text.n - 1]) != NULL) {
        text = sv_trim(sv_sub(text, 0, text.n - 1));
    }
    for (size_t i = 0; lead[i]; i++) {
        sv l = sv_of(lead[i]);
        if (text.n > l.n && sv_eq_nocase(sv_sub(text, 0, l.n), l)) {
            text = sv_trim(sv_sub(text, l.n, text.n));
            i = (size_t)-1; /* "¿cuánto es" has two leads */
        }
    }
    return text;
}

static bool say_sum(const struct offline_req *q, enum lang lang, struct buf *dst)
{
    char expr[256];
    sv text = strip_question(q->text);
    if (!sv_copy(expr, sizeof expr, text)) {
        return false;
    }
    /* A comma between digits is a decimal point in Spanish and a thousands mark in English. */
    size_t n = 0;
    for (size_t i = 0; expr[i] != '\0'; i++) {
        if (expr[i] == ',' && lang == EN) {
            continue;
        }
        expr[n] = expr[i];
        if (expr[n] == ',') {
            expr[n] = '.';
        }
        n++;
    }
    double value;
    unsigned ops;
    enum expr_result r = expr_eval(sv_mem(expr, n), &value, &ops);
    if (r == EXPR_NOT || (r == EXPR_OK && ops == 0)) {
        return false;
    }
    char out[40];
    expr_print(value, out, sizeof out);
    if (r == EXPR_OK) {
        buf_printf(dst, "%.*s = %s", SV_ARG(text), out);
    } else if (r == EXPR_DIV_ZERO) {
        buf_str(dst, lang == ES ? "No se puede dividir por cero." : "Division by zero has no result.");
    } else {
        buf_str(dst, lang == ES ? "El resultado no es un número que pueda representar."
                                : "The result is not a number I can represent.");
    }
    return true;
}

void offline_answer(const struct offline_req *q, struct buf *dst)
{
    struct offline_req cut = *q;
    cut.text = sv_trim(sv_sub(q->text, 0, 2000)); /* words further on cannot be a command */
    enum lang lang = language(&cut);
    buf_str(dst, "[offline] ");
    if (say_sum(&cut, lang, dst)) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
        for (size_t k = 0; topics[i].words[k]; k++) {
            if (has_word(cut.text, topics[i].words[k])) {
                topics[i].say(&cut, lang, dst);
                return;
            }
        }
    }
    say_else(&cut, lang, dst);
}

const struct dialect dialect_offline = {.api = "offline", .path = NULL};
