/* Vectors of SFL_WIDTH floats in GCC's own notation: one source for every instruction set, NEON included. */
#ifndef SFL_NN_VECTOR_H
#define SFL_NN_VECTOR_H

#include <float.h>

#include "nn.h"

#define WIDTH ((size_t)SFL_WIDTH)
#define PANEL (2 * WIDTH)
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

typedef float vec __attribute__((vector_size(4 * SFL_WIDTH)));
typedef int32_t ivec __attribute__((vector_size(4 * SFL_WIDTH)));
typedef int8_t bytes __attribute__((vector_size(SFL_WIDTH), aligned(1)));
typedef vec __attribute__((aligned(4), may_alias)) loose;

INLINE vec load(const float *p)
{
    return *(const loose *)p;
}

INLINE void store(float *p, vec x)
{
    *(loose *)p = x;
}

INLINE vec all(float x)
{
    return x - (vec){0};
}

/* The first `count` < WIDTH floats; what is beyond them is not touched, and reads as 0. */
INLINE vec load_part(const float *p, size_t count)
{
    vec x = {0};
    memcpy(&x, p, 4 * count);
    return x;
}

INLINE void store_part(float *p, vec x, size_t count)
{
    memcpy(p, &x, 4 * count);
}

INLINE vec load_up_to(const float *p, size_t count)
{
    return count >= WIDTH ? load(p) : load_part(p, count);
}

INLINE void store_up_to(float *p, vec x, size_t count)
{
    if (count >= WIDTH) store(p, x);
    else store_part(p, x, count);
}

INLINE vec choose(ivec where, vec a, vec b)
{
    return (vec)(((ivec)a & where) | ((ivec)b & ~where));
}

#if defined(SFL_MAX) /* the instruction, where the compiler does not find it by itself */
INLINE vec larger(vec a, vec b)
{
    return (vec)SFL_MAX(a, b);
}

INLINE vec smaller(vec a, vec b)
{
    return (vec)SFL_MIN(a, b);
}
#else
INLINE vec larger(vec a, vec b)
{
    return choose(a > b, a, b);
}

INLINE vec smaller(vec a, vec b)
{
    return choose(a < b, a, b);
}
#endif

INLINE vec clamp(vec x, vec low, vec high)
{
    return smaller(larger(x, low), high);
}

/* By halves: the order of a tree, so that no addition waits for all before it. */
INLINE float sum_of(vec x)
{
    float part[SFL_WIDTH];
    memcpy(part, &x, sizeof part);
    for (size_t half = WIDTH / 2; half > 0; half /= 2) {
        UNROLL
        for (size_t i = 0; i < half; i++) part[i] += part[i + half];
    }
    return part[0];
}

#if SFL_WIDTH == 16
#define LANES(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15)
#elif SFL_WIDTH == 8
#define LANES(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)
#else
#define LANES(f) f(0), f(1), f(2), f(3)
#endif
#define EVEN(i) 2 * (i)
#define ODD(i) 2 * (i) + 1

/* Lane i is the sum of x[i], WIDTH vectors: neighbours are added, half as many vectors each time. */
INLINE vec sums_of(vec *x)
{
    UNROLL
    for (size_t count = WIDTH / 2; count > 0; count /= 2) {
        UNROLL
        for (size_t i = 0; i < count; i++) {
            const vec a = x[2 * i], b = x[2 * i + 1];
            x[i] = __builtin_shuffle(a, b, (ivec){LANES(EVEN)}) + __builtin_shuffle(a, b, (ivec){LANES(ODD)});
        }
    }
    return x[0];
}

INLINE float peak_of(vec x)
{
    float part[SFL_WIDTH];
    memcpy(part, &x, sizeof part);
    for (size_t half = WIDTH / 2; half > 0; half /= 2) {
        UNROLL
        for (size_t i = 0; i < half; i++) part[i] = part[i] > part[i + half] ? part[i] : part[i + half];
    }
    return part[0];
}

/* e^x within 2 ulp, x first cut to where the result is a normal number: 2^n times a polynomial (Cephes expf). */
INLINE vec exp_of(vec x)
{
    const float round = 12582912.0f; /* 1.5 * 2^23: what is added to it is rounded to an integer */
    x = clamp(x, all(-87.0f), all(88.0f));
    const vec shifted = x * 1.44269504f + round, n = shifted - round;
    const vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return (vec)((ivec)p + ((ivec)shifted << 23)); /* of the rounding number nothing is left after the shift */
}

#if defined(SFL_RECIPROCAL) /* 14 bits and one step of Newton's: three quarters of the time of a division, as exact */
INLINE vec reciprocal(vec x)
{
    const vec y = (vec)SFL_RECIPROCAL(x);
    return y * (2.0f - x * y);
}
#else
INLINE vec reciprocal(vec x)
{
    return 1.0f / x;
}
#endif

/* 1 / (1 + 2^t) with t = -x / ln 2, within 2e-7: t has fewer digits than exp_of keeps, which the 1 hides. */
INLINE vec sigmoid_of(vec x)
{
    const float round = 12582912.0f;
    const vec t = clamp(x * -1.44269504f, all(-126.0f), all(126.0f));
    const vec shifted = t + round, f = t - (shifted - round);
    vec p = f * 1.3264735231e-3f + 9.6715175348e-3f; /* minimax of (2^f - 1) / f where |f| <= 1/2 */
    p = p * f + 5.5507337691e-2f;
    p = p * f + 2.4022242011e-1f;
    p = p * f + 6.9314697756e-1f;
    p = p * f + 1.0f;
    return reciprocal(1.0f + (vec)((ivec)p + ((ivec)shifted << 23)));
}

INLINE vec tanh_of(vec x) /* near 0 the difference of e^2x and 1 would cancel: its series there (|x| < 0.3: 1e-8) */
{
    const vec e = exp_of(x + x), square = x * x;
    const vec series = x + x * square *
                               (square * (square * (square * (62.0f / 2835) - 17.0f / 315) + 2.0f / 15) - 1.0f / 3);
    return choose(square < 0.04f, series, 1.0f - 2.0f / (e + 1.0f));
}

INLINE vec activated(vec x, vec alpha, sfl_nn_activation activation)
{
    switch (activation) {
    case SFL_NN_SIGMOID: return sigmoid_of(x);
    case SFL_NN_TANH: return tanh_of(x);
    case SFL_NN_PRELU: return larger(x, all(0)) + alpha * smaller(x, all(0));
    case SFL_NN_DICE: return x * (alpha + (1.0f - alpha) * sigmoid_of(x));
    default: return x;
    }
}

#endif
