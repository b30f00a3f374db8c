/* What the arithmetics modulo an odd m share: scalar arithmetic by Montgomery's reduction with R = 2^64, and the
 * constants of any R. */
#ifndef SFL_MODULUS_H
#define SFL_MODULUS_H

#include "kernels.h"

/* R = 2^bits; inverse = 1/m modulo 2^64, unit = R mod m, square = R^2 mod m. */
typedef struct {
    uint64_t m, inverse, unit, square;
} mod_constants;

static inline mod_constants mod_prepare(uint64_t m, unsigned bits)
{
    mod_constants p = {.m = m, .inverse = m, .unit = (uint64_t)(((sfl_u128)1 << bits) % m)};
    for (int right = 3; right < 64; right *= 2) p.inverse *= 2 - m * p.inverse; /* Newton: m m = 1 mod 8 */
    p.square = (uint64_t)((sfl_u128)p.unit * p.unit % m);
    return p;
}

static inline uint64_t mod_subtract(uint64_t a, uint64_t b, uint64_t m)
{
    return a - b + (m & (0 - (uint64_t)(a < b)));
}

static inline uint64_t mod_add(uint64_t a, uint64_t b, uint64_t m)
{
    return mod_subtract(a, m - b, m);
}

/* a b / 2^64 mod m, canonical for any a when b < m. */
static inline uint64_t mod_times(uint64_t a, uint64_t b, const mod_constants *p)
{
    const sfl_u128 product = (sfl_u128)a * b;
    const uint64_t quotient = (uint64_t)product * p->inverse;
    const uint64_t excess = (uint64_t)((sfl_u128)quotient * p->m >> 64);
    return mod_subtract((uint64_t)(product >> 64), excess, p->m);
}

/* x[i] = 1 / x[i] for count <= SFL_MOD_FEW residues, by one inversion; returns 1, or 0 when some have none. */
#define SFL_MOD_FEW 64
int sfl_mod_invert_few(uint64_t *x, size_t count, uint64_t m);

extern const sfl_mod_kernels sfl_p61;
#ifdef SFL_X86
extern const sfl_mod_kernels sfl_p61_avx512, sfl_mod_ifma, sfl_mod_avx512;
int sfl_p61_avx512_usable(void), sfl_mod_ifma_usable(void), sfl_mod_avx512_usable(void);
#endif

#endif
