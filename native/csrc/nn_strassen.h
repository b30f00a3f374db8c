/* One level of Strassen's product, in Winograd's form with 7 products and 15 additions: for 1x1 convolutions of blocked
 * images with many channels. What is added to a product is added by the product itself; only sums of A are formed. */
#ifndef SFL_NN_STRASSEN_H
#define SFL_NN_STRASSEN_H

#include "nn_gemm.h"

/* One image in quarters: rows are pixels, columns are channels. */
typedef struct {
    size_t rows, in, out, pixels; /* half of the pixels, half of the blocks on either side */
    const float *a[2][2];
    float *c[2][2];
    const float *bias[2];
    const float *zeros;
    float *sum;                      /* of quarters of A */
    const ptrdiff_t *whole, *packed; /* taps of A, and of `sum` */
} quarters;

/* sum = the quarters of A with these signs: 11, 12, 21, 22. */
static void combine(const quarters *q, int s11, int s12, int s21, int s22)
{
    const int sign[2][2] = {{s11, s12}, {s21, s22}};
    for (size_t b = 0; b < q->in; b++) {
        for (size_t r = 0; r < q->rows * WIDTH; r += WIDTH) {
            vec total = {0};
            for (int i = 0; i < 4; i++) {
                const int s = sign[i / 2][i % 2];
                if (s) total += (float)s * load(q->a[i / 2][i % 2] + b * q->pixels * WIDTH + r);
            }
            store(q->sum + b * q->rows * WIDTH + r, total);
        }
    }
}

/* c = clamp(a * weights k + bias + add); a quarter of A, or the sum when `a` is NULL. */
static void multiply(const sfl_nn_strassen *s, const quarters *q, int k, const float *a, float *c, const float *add,
                     const float *bias)
{
    const size_t size = q->in * WIDTH * sfl_nn_round_up(q->out * WIDTH, PANEL);
    const sfl_nn_gemm g = {.lines = 1,
                           .rows = q->rows,
                           .columns = q->out * WIDTH,
                           .a = a ? a : q->sum,
                           .a_row = SFL_WIDTH,
                           .taps = a ? q->whole : q->packed,
                           .tap_count = q->in,
                           .depth = WIDTH,
                           .b = s->weights + (size_t)k * size,
                           .bias = bias ? bias : q->zeros,
                           .add = add,
                           .c = c,
                           .c_row = SFL_WIDTH,
                           .c_column = (ptrdiff_t)(q->pixels * WIDTH),
                           .low = bias ? s->low : -FLT_MAX,
                           .high = bias ? s->high : FLT_MAX};
    gemm(&g);
}

/* c += other, then bias and clamp where there is a bias. */
static void add_quarter(const sfl_nn_strassen *s, const quarters *q, float *c, const float *other, const float *bias)
{
    const vec low = all(bias ? s->low : -FLT_MAX), high = all(bias ? s->high : FLT_MAX);
    for (size_t b = 0; b < q->out; b++) {
        const vec more = bias ? load(bias + b * WIDTH) : (vec){0};
        const size_t first = b * q->pixels * WIDTH;
        for (size_t i = first; i < first + q->rows * WIDTH; i += WIDTH)
            store(c + i, clamp(load(c + i) + load(other + i) + more, low, high));
    }
}

/* Weights: B11, B21, -T4, T1, T2, T3, B22 with T1 = B12 - B11, T2 = B22 - T1, T3 = B22 - B12, T4 = T2 - B21. */
enum { B11, B21, MINUS_T4, T1, T2, T3, B22 };

static void strassen_image(const sfl_nn_strassen *s, const quarters *q)
{
    float *const c11 = q->c[0][0], *const c12 = q->c[0][1], *const c21 = q->c[1][0], *const c22 = q->c[1][1];
    multiply(s, q, B11, q->a[0][0], c11, NULL, NULL);
    combine(q, -1, 0, 1, 1);
    multiply(s, q, T2, NULL, c12, c11, NULL); /* U2 */
    multiply(s, q, B21, q->a[0][1], c11, c11, q->bias[0]);
    combine(q, 1, 0, -1, 0);
    multiply(s, q, T3, NULL, c21, c12, NULL); /* U3 */
    combine(q, 0, 0, 1, 1);
    multiply(s, q, T1, NULL, c22, NULL, NULL);
    add_quarter(s, q, c12, c22, NULL); /* U4 */
    add_quarter(s, q, c22, c21, q->bias[1]);
    combine(q, 1, 1, -1, -1);
    multiply(s, q, B22, NULL, c12, c12, q->bias[1]);
    multiply(s, q, MINUS_T4, q->a[1][1], c21, c21, q->bias[0]);
}

static void strassen(const sfl_nn_strassen *s)
{
    const size_t in = s->channels / WIDTH / 2, out = s->filters / WIDTH / 2, rows = s->pixels / 2;
    ptrdiff_t *taps = (ptrdiff_t *)(void *)s->scratch;
    float *zeros = s->scratch + sfl_nn_round_up(2 * in * sizeof(ptrdiff_t) / 4, WIDTH);
    quarters q = {
        .rows = rows, .in = in, .out = out, .pixels = s->pixels, .zeros = zeros, .whole = taps, .packed = taps + in};
    q.sum = zeros + sfl_nn_round_up(out * WIDTH, PANEL);
    memset(zeros, 0, 4 * sfl_nn_round_up(out * WIDTH, PANEL));
    for (size_t b = 0; b < in; b++) {
        taps[b] = (ptrdiff_t)(b * s->pixels * WIDTH);
        taps[in + b] = (ptrdiff_t)(b * rows * WIDTH);
    }
    for (size_t i = 0; i < s->images; i++) {
        for (int quarter = 0; quarter < 4; quarter++) {
            const size_t y = (size_t)quarter / 2, x = (size_t)quarter % 2, row = y * rows * WIDTH;
            q.a[y][x] = s->x + i * s->channels * s->pixels + x * in * s->pixels * WIDTH + row;
            q.c[y][x] = s->out + i * s->filters * s->pixels + x * out * s->pixels * WIDTH + row;
            q.bias[x] = s->bias + x * out * WIDTH;
        }
        strassen_image(s, &q);
    }
}

#endif
