/* Vectors modulo an odd m < 2^64, by Montgomery's reduction with R = 2^64: what every machine runs. */
#include "words_portable.h"

#define INVERSE_STEPS(m) (2 * (64 - __builtin_clzll(m)))

/* 1/x mod m, and *unit = 1; or *unit = 0 when gcd(x, m) > 1. Binary extended GCD with the invariant a = u x and
 * b = v x mod m, b odd. Each step shortens a and b together by a bit, so in the end a = 0 and b = gcd. */
static uint64_t invert(uint64_t x, uint64_t m, int *unit)
{
    uint64_t a = x, b = m, u = 1, v = 0;
    for (int step = 0; step < INVERSE_STEPS(m); step++) {
        const uint64_t odd = 0 - (a & 1), swap = odd & (0 - (uint64_t)(a < b));
        const uint64_t ab = swap & (a ^ b), uv = swap & (u ^ v);
        a ^= ab, b ^= ab, u ^= uv, v ^= uv;
        a = (a - (b & odd)) >> 1;
        u = mod_subtract(u, v & odd, m);
        u = (u >> 1) + ((m / 2 + 1) & (0 - (u & 1)));
    }
    *unit = b == 1;
    return v;
}

int sfl_mod_invert_few(uint64_t *x, size_t count, uint64_t m)
{
    const mod_constants p = mod_prepare(m, 64);
    uint64_t before[SFL_MOD_FEW], product = p.unit;
    int unit;
    for (size_t i = 0; i < count; i++) {
        before[i] = product;
        product = mod_times(product, x[i], &p);
    }
    uint64_t rest = invert(product, m, &unit);
    for (size_t i = count; i-- > 0;) {
        const uint64_t inverse = mod_times(rest, before[i], &p);
        rest = mod_times(rest, x[i], &p);
        x[i] = inverse;
    }
    sfl_wipe(before, sizeof before);
    return unit;
}

/* The numerator of weight i is the product of (at - x_j) over j before i times that over j after i. */
int sfl_mod_lagrange(const sfl_mod_kernels *field, uint64_t *weights, uint64_t *scratch, const uint64_t *points,
                     size_t count, uint64_t at, uint64_t m)
{
    const mod_constants p = mod_prepare(m, 64);
    if (at >= m || !field->differences(scratch, weights, points, count, m)) return 0;
    if (!field->inverse(weights, scratch, count, m)) return 0;
    for (int pass = 0; pass < 2; pass++) {
        uint64_t product = p.unit;
        for (size_t k = 0; k < count; k++) {
            const size_t i = pass == 0 ? k : count - 1 - k;
            const uint64_t gap = mod_subtract(at, points[i], m);
            weights[i] = mod_times(weights[i], product, &p);
            product = mod_times(product, mod_times(gap, p.square, &p), &p);
        }
    }
    return 1;
}

/* ---- The arithmetic ---- */

typedef mod_constants ring;

INLINE ring prepare(uint64_t m)
{
    return mod_prepare(m, 64);
}

INLINE word add(word a, word b, const ring *r)
{
    return mod_add(a, b, r->m);
}

INLINE word subtract(word a, word b, const ring *r)
{
    return mod_subtract(a, b, r->m);
}

INLINE word times(word a, word b, const ring *r)
{
    return mod_times(a, b, r);
}

INLINE word multiply(word a, word b, const ring *r)
{
    return times(times(a, b, r), r->square, r);
}

INLINE word plus(word a, word b, const ring *r)
{
    return add(a, b, r);
}

INLINE word settle(word a, const ring *r)
{
    (void)r;
    return a;
}

#include "modulus_kernels.h"

static const sfl_mod_kernels portable = {KERNELS};

static int always(void)
{
    return 1;
}

const sfl_mod_backend sfl_mod_backends[] = {
#ifdef SFL_X86
    {{"p61-avx512", sfl_p61_avx512_usable}, SFL_P61, SFL_P61, &sfl_p61_avx512},
    {{"ifma", sfl_mod_ifma_usable}, 3, (UINT64_C(1) << 52) - 1, &sfl_mod_ifma},
    {{"avx512", sfl_mod_avx512_usable}, 3, UINT64_MAX, &sfl_mod_avx512},
#endif
    {{"p61", always}, SFL_P61, SFL_P61, &sfl_p61},
    {{"portable", always}, 3, UINT64_MAX, &portable},
    {{NULL, NULL}, 0, 0, NULL},
};
