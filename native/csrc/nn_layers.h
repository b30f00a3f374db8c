/* Dense layers, elementwise functions, softmax, layouts. */
#ifndef SFL_NN_LAYERS_H
#define SFL_NN_LAYERS_H

#include "nn_gemm.h"

static const ptrdiff_t origin = 0; /* the only tap of a plain matrix */

static void activate(const sfl_nn_activate *a)
{
    const vec low = all(a->low), high = all(a->high);
    for (size_t r = 0; r < a->rows; r++) {
        const float *x = a->x + r * a->columns;
        float *out = a->out + r * a->columns;
        for (size_t c = 0; c < a->columns; c += WIDTH) {
            const size_t left = a->columns - c;
            const vec alpha = a->alpha ? load_up_to(a->alpha + c, left) : (vec){0};
            store_up_to(out + c, activated(clamp(load_up_to(x + c, left), low, high), alpha, a->activation), left);
        }
    }
}

/* The floats of one panel of int8 weights. */
static void widen_panel(float *out, const int8_t *panel, const float *scales, size_t depth)
{
    const vec first = load(scales), second = load(scales + WIDTH);
    for (size_t k = 0; k < depth; k++, panel += PANEL, out += PANEL) {
        store(out, __builtin_convertvector(*(const bytes *)panel, vec) * first);
        store(out + WIDTH, __builtin_convertvector(*(const bytes *)(panel + WIDTH), vec) * second);
    }
}

static void int8_product(const sfl_nn_linear *l, sfl_nn_gemm *g)
{
    const int8_t *weights = l->weights;
    for (size_t column = 0; column < l->columns; column += PANEL) {
        widen_panel(l->scratch, weights + column * l->depth, l->scales + column, l->depth);
        g->columns = l->columns - column < PANEL ? l->columns - column : PANEL;
        g->b = l->scratch;
        g->bias = l->bias + column;
        g->c = l->out + column;
        gemm(g);
    }
}

static void linear(const sfl_nn_linear *l)
{
    sfl_nn_gemm g = {.lines = 1,
                     .rows = l->rows,
                     .columns = l->columns,
                     .a = l->x,
                     .a_row = (ptrdiff_t)l->depth,
                     .taps = &origin,
                     .tap_count = 1,
                     .depth = l->depth,
                     .b = l->weights,
                     .bias = l->bias,
                     .c = l->out,
                     .c_row = (ptrdiff_t)l->columns,
                     .c_column = SFL_WIDTH,
                     .low = l->low,
                     .high = l->high};
    if (l->scales) int8_product(l, &g);
    else gemm(&g);
    if (l->activation == SFL_NN_IDENTITY) return;
    const sfl_nn_activate a = {.rows = l->rows,
                               .columns = l->columns,
                               .x = l->out,
                               .out = l->out,
                               .alpha = l->alpha,
                               .low = -FLT_MAX,
                               .high = FLT_MAX,
                               .activation = l->activation};
    activate(&a);
}

INLINE vec combined(vec a, vec b, sfl_nn_binary kind)
{
    return kind == SFL_NN_ADD ? a + b : kind == SFL_NN_SUB ? a - b : a * b;
}

static void elementwise(const sfl_nn_elementwise *e)
{
    const vec low = all(e->low), high = all(e->high);
    for (size_t first = 0; first < e->count; first += e->repeat) {
        for (size_t i = 0; i < e->repeat; i += WIDTH) {
            const size_t left = e->repeat - i;
            const vec x = combined(load_up_to(e->a + first + i, left), load_up_to(e->b + i, left), e->kind);
            store_up_to(e->out + first + i, clamp(x, low, high), left);
        }
    }
}

INLINE vec load_or(const float *p, size_t count, float rest)
{
    vec x = all(rest);
    if (count >= WIDTH) return load(p);
    memcpy(&x, p, 4 * count);
    return x;
}

/* out = exp(x - peak); returns the sum. */
static float exponentials(float *out, const float *x, size_t count)
{
    vec peaks = all(-FLT_MAX), total = {0};
    for (size_t i = 0; i < count; i += WIDTH) peaks = larger(peaks, load_or(x + i, count - i, -FLT_MAX));
    const float peak = peak_of(peaks);
    for (size_t i = 0; i < count; i += WIDTH) {
        store_up_to(out + i, exp_of(load_up_to(x + i, count - i) - peak), count - i);
        total += load_up_to(out + i, count - i);
    }
    return sum_of(total);
}

static void scale(float *x, size_t count, float factor)
{
    for (size_t i = 0; i < count; i++) x[i] *= factor;
}

static void softmax(const sfl_nn_softmax *s)
{
    for (size_t r = 0; r < s->rows; r++) {
        float *out = s->out + r * s->columns;
        scale(out, s->columns, 1.0f / exponentials(out, s->x + r * s->columns, s->columns));
    }
}

/* Pixels go a tile of WIDTH at a time, so that both sides are touched in whole cache lines. */
static void convert(const sfl_nn_convert *c)
{
    const size_t blocks = (c->channels + WIDTH - 1) / WIDTH;
    for (size_t i = 0; i < c->images * blocks; i++) {
        const size_t first = i % blocks * WIDTH, lanes = c->channels - first < WIDTH ? c->channels - first : WIDTH;
        const size_t planar = (i / blocks * c->channels + first) * c->pixels, blocked = i * WIDTH * c->pixels;
        for (size_t p = 0; p < c->pixels; p++) {
            for (size_t l = 0; l < WIDTH; l++) {
                const size_t there = planar + l * c->pixels + p, here = blocked + p * WIDTH + l;
                if (c->to_blocked) c->out[here] = l < lanes ? c->x[there] : 0;
                else if (l < lanes) c->out[there] = c->x[here];
            }
        }
    }
}

static void pack(const sfl_nn_pack *p)
{
    float *out = p->out;
    for (size_t first = 0; first < p->columns; first += PANEL) {
        const size_t there = p->columns - first < PANEL ? p->columns - first : PANEL;
        const float *x = p->x + first * p->row;
        for (size_t k = 0; k < p->depth; k++, out += PANEL) {
            for (size_t j = 0; j < there; j++) out[j] = p->index[k] < 0 ? 0 : x[j * p->row + (size_t)p->index[k]];
            for (size_t j = there; j < PANEL; j++) out[j] = 0;
        }
    }
}

static int all_finite(const float *x, size_t count)
{
    ivec outside = {0};
    for (size_t i = 0; i < count; i += WIDTH) {
        const ivec exponent = (ivec)load_up_to(x + i, count - i) & 0x7f800000;
        outside |= exponent == 0x7f800000;
    }
    for (size_t i = 0; i < WIDTH; i++) {
        if (outside[i]) return 0;
    }
    return 1;
}

#endif
