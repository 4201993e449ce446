/*
 * expr.c: recursive descent over the grammar of expr.h.
 *   sum = product {(+|-) product}; product = power {(*|/|%) power}; power = [+|-] atom [^ power]
 * Runs in: agent.     Owns: nothing.
 * Never: reads past the view.
 * Tested in: tests/unit/agent/test_expr.c
 */
#include "agent/provider/expr.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 40
#define NUMBER_MAX 40 /* characters of one number */

struct parser {
    sv rest;
    unsigned depth, ops;
    enum expr_result result;
};

static double sum(struct parser *p);

static double fail(struct parser *p, enum expr_result why)
{
    if (p->result == EXPR_OK) {
        p->result = why;
    }
    return 0;
}

static void skip(struct parser *p)
{
    while (p->rest.n > 0 && (p->rest.p[0] == ' ' || p->rest.p[0] == '\t')) {
        p->rest = sv_sub(p->rest, 1, p->rest.n);
    }
}

/* Takes the token when it comes next. */
static bool take(struct parser *p, const char *token)
{
    skip(p);
    sv t = sv_of(token);
    if (t.n == 0 || !sv_starts(p->rest, t)) {
        return false;
    }
    p->rest = sv_sub(p->rest, t.n, p->rest.n);
    return true;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static double number(struct parser *p)
{
    char text[NUMBER_MAX + 1];
    size_t n = 0;
    bool point = false, any = false;
    while (n < p->rest.n && n < NUMBER_MAX && (digit(p->rest.p[n]) || (p->rest.p[n] == '.' && !point))) {
        point = point || p->rest.p[n] == '.';
        any = any || digit(p->rest.p[n]);
        text[n] = p->rest.p[n];
        n++;
    }
    if (!any) {
        return fail(p, EXPR_NOT);
    }
    text[n] = '\0';
    p->rest = sv_sub(p->rest, n, p->rest.n);
    return strtod(text, NULL);
}

static double atom(struct parser *p)
{
    if (take(p, "sqrt")) {
        p->ops++;
        skip(p);
        if (p->rest.n == 0 || p->rest.p[0] != '(') {
            return fail(p, EXPR_NOT);
        }
        double v = atom(p);
        return v < 0 ? fail(p, EXPR_RANGE) : sqrt(v);
    }
    if (take(p, "pi")) {
        return M_PI;
    }
    if (!take(p, "(")) {
        return number(p);
    }
    if (++p->depth > DEPTH_MAX) {
        return fail(p, EXPR_NOT);
    }
    double v = sum(p);
    p->depth--;
    return take(p, ")") ? v : fail(p, EXPR_NOT);
}

static double power(struct parser *p)
{
    if (++p->depth > DEPTH_MAX) {
        return fail(p, EXPR_NOT);
    }
    double v;
    if (take(p, "-") || take(p, "\xe2\x88\x92")) {
        v = -power(p);
    } else if (take(p, "+")) {
        v = power(p);
    } else {
        v = atom(p);
        if (p->result == EXPR_OK && (take(p, "^") || take(p, "**"))) {
            p->ops++;
            v = pow(v, power(p)); /* right associative */
        }
    }
    p->depth--;
    return v;
}

static double product(struct parser *p)
{
    double v = power(p);
    while (p->result == EXPR_OK) {
        /* Also the signs that people type: multiplication x, middle dot, division sign. */
        bool times = take(p, "*") || take(p, "\xc3\x97") || take(p, "\xc2\xb7");
        bool over = !times && (take(p, "/") || take(p, "\xc3\xb7"));
        bool mod = !times && !over && take(p, "%");
        if (!times && !over && !mod) {
            break;
        }
        p->ops++;
        double w = power(p);
        if (p->result == EXPR_OK && !times && w == 0) {
            return fail(p, EXPR_DIV_ZERO);
        }
        v = times ? v * w : over ? v / w : fmod(v, w);
    }
    return v;
}

static double sum(struct parser *p)
{
    double v = product(p);
    while (p->result == EXPR_OK) {
        bool plus = take(p, "+");
        if (!plus && !take(p, "-") && !take(p, "\xe2\x88\x92")) {
            break;
        }
        p->ops++;
        double w = product(p);
        v = plus ? v + w : v - w;
    }
    return v;
}

enum expr_result expr_eval(sv text, double *value, unsigned *ops)
{
    struct parser p = {.rest = sv_trim(text)};
    *value = 0;
    *ops = 0;
    if (p.rest.n == 0 || p.rest.n > 1000) {
        return EXPR_NOT;
    }
    double v = sum(&p);
    skip(&p);
    /* What is not an expression to its end is not one at all, whatever its beginning divides by. */
    if (p.rest.n > 0 && p.result != EXPR_DIV_ZERO && p.result != EXPR_RANGE) {
        return EXPR_NOT;
    }
    if (p.result == EXPR_OK && !isfinite(v)) {
        p.result = EXPR_RANGE;
    }
    *value = v;
    *ops = p.ops;
    return p.result;
}

void expr_print(double value, char *dst, size_t cap)
{
    if (value == 0) {
        value = 0; /* no "-0" */
    }
    if (fabs(value) < 1e15 && value == floor(value)) {
        (void)snprintf(dst, cap, "%lld", (long long)value);
    } else {
        (void)snprintf(dst, cap, "%.10g", value);
    }
}
