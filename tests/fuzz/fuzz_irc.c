/*
 * fuzz_irc.c: arbitrary bytes as the stream of an IRC server: framing, parsing, registration, text.
 * Runs in: the fuzzer.     Owns: nothing.
 * Never: does input or output.
 * Tested in: itself.
 */
#include "common/err.h"
#include "common/text.h"
#include "workers/chan/drivers/irc_reg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void emit(void *ctx, const char *command, const sv *params, size_t n)
{
    struct buf line = BUF_INIT(IRC_LINE_MAX + 2);
    UNUSED(ctx);
    if (irc_put(&line, command, params, n)) {
        sv text = buf_view(&line);
        ASSERT(sv_ends(text, SV("\r\n")) && sv_chr(sv_sub(text, 0, text.n - 2), '\n') < 0);
    }
    buf_free(&line);
}

static bool on_line(void *ctx, sv line)
{
    struct irc_reg *reg = (struct irc_reg *)ctx;
    struct irc_msg m;
    char value[64];
    if (irc_parse(line, &m) != OK) {
        return true;
    }
    ASSERT(m.n <= IRC_PARAMS_MAX && !sv_empty(m.command));
    struct irc_who who = irc_prefix(m.prefix);
    ASSERT(who.nick.n + who.user.n + who.host.n <= m.prefix.n);
    ASSERT(irc_same(who.nick, who.nick, IRC_RFC1459) && irc_mask(SV("*"), m.prefix, IRC_ASCII));
    ASSERT(!irc_tag(&m, "msgid", value, sizeof value) || strlen(value) < sizeof value);
    sv last = irc_param(&m, m.n - 1), verb, rest;
    struct buf text = BUF_INIT(65536);
    irc_plain(&text, irc_ctcp(last, &verb, &rest) ? rest : last);
    ASSERT(utf8_valid(buf_view(&text)) && sv_chr(buf_view(&text), '\1') < 0);
    buf_free(&text);
    if (irc_reg_line(reg, &m) == REG_NICK_TAKEN) {
        irc_reg_retry_nick(reg);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct irc_reg_conf conf = {.nick = "bot", .username = "bot", .realname = "bot", .password = "",
                                             .sasl_user = "a", .sasl_password = "p", .sasl = true};
    static struct irc_framer framer;
    struct irc_reg reg;
    framer.n = 0;
    framer.skipping = false;
    irc_reg_start(&reg, &conf, emit, NULL);
    irc_frame(&framer, sv_mem(data, size), on_line, &reg);
    return 0;
}
