/*
 * fuzz_conf_lex.c: the number lexer of the configuration on arbitrary bytes.
 * Runs in: the fuzzer.     Owns: nothing.
 * Never: does input or output.
 * Tested in: itself.
 */
#include "common/err.h"
#include "supervisor/conf_lex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_lexer l = {.text = sv_mem(data, size)};
    struct conf_lex_error e = {0};
    size_t before = 0;

    while (conf_lex_next_error(&l, &e)) {
        ASSERT(l.pos > before && l.pos <= size && e.line >= 1);
        ASSERT(memchr(e.path, '\0', sizeof e.path) && memchr(e.text, '\0', sizeof e.text));
        before = l.pos;
    }
    ASSERT(l.pos >= size);
    return 0;
}
