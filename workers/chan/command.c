/*
 * command.c: see command.h.
 * Runs in: channel workers.     Owns: nothing.
 * Never: matches a phrase inside a longer message.
 * Tested in: tests/unit/chan/test_command.c
 */
#include "workers/chan/command.h"

#include "common/text.h"

/* agent-runtime.md 3.4, folded as fold() does. */
static const char *const stop_phrases[] = {
    "stop", "esc", "abort", "exit", "interrupt", "halt", "stop run", "stop agent", "stop the agent",
    "stop action", "please stop", "stop please", "do not do that", "stop doing anything", "detente",
    "det\u00e9n", "para", "parar", "arr\u00eate", "stopp", "anhalten", "aufh\u00f6ren", "pare",
    "\u0441\u0442\u043e\u043f", "\u043e\u0441\u0442\u0430\u043d\u043e\u0432\u0438\u0441\u044c", "\u505c\u6b62",
    "\u6682\u505c", "\u3084\u3081\u3066", "\u6b62\u3081\u3066", "\uba48\ucdb0",
    "\u062a\u0648\u0642\u0641", "\u0930\u0941\u0915\u094b",
};

#define PHRASE_MAX 64 /* bytes; longer than every phrase with some punctuation */

/* Lower case of the letters that occur in the phrases: ASCII, Latin-1, Cyrillic. */
static uint32_t lower(uint32_t cp)
{
    bool ascii = cp >= 'A' && cp <= 'Z';
    bool latin = cp >= 0xC0 && cp <= 0xDE && cp != 0xD7;
    bool cyrillic = cp >= 0x410 && cp <= 0x42F;
    return ascii || latin || cyrillic ? cp + 0x20 : cp;
}

static bool trailing_mark(uint32_t cp)
{
    return cp == '.' || cp == '!' || cp == '?' || cp == ',' || cp == ';' || cp == ':' || cp == ' ' ||
           cp == 0x2026 /* … */ || cp == 0x3002 /* 。 */ || cp == 0xFF01 /* ！ */ || cp == 0xFF1F /* ？ */;
}

/* Folded copy without trailing marks; false when it cannot be a phrase. */
static bool fold(sv text, char dst[PHRASE_MAX])
{
    size_t n = 0, keep = 0;
    while (text.n) {
        uint32_t cp = 0;
        size_t len = utf8_decode(text, &cp);
        if (len == 0 || n + 5 > PHRASE_MAX) {
            return false;
        }
        n += utf8_encode(lower(cp), dst + n);
        if (!trailing_mark(cp)) {
            keep = n;
        }
        text = sv_sub(text, len, text.n);
    }
    dst[keep] = '\0';
    return keep > 0;
}

const char *command_of(sv text, bool *slash)
{
    char folded[PHRASE_MAX];
    *slash = false;
    if (!fold(sv_trim(text), folded)) {
        return NULL;
    }
    if (folded[0] == '/') {
        *slash = true;
        if (strcmp(folded, "/stop") == 0) {
            return "stop";
        }
        if (strcmp(folded, "/new") == 0 || strcmp(folded, "/reset") == 0) {
            return "new";
        }
        *slash = false;
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(stop_phrases); i++) {
        if (strcmp(folded, stop_phrases[i]) == 0) {
            return "stop";
        }
    }
    return NULL;
}
