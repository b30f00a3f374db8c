/* Scalar arithmetic modulo P = 2^61 - 1: since 2^61 = 1, the pieces of 61 bits of a product are added. */
#ifndef SFL_P61_H
#define SFL_P61_H

#include "kernels.h"

#define P SFL_P61

/* x < 2P */
static inline uint64_t p61_canonical(uint64_t x)
{
    const uint64_t y = x - P;
    return y + (P & (0 - (y >> 63)));
}

/* Any x, to at most P + 7. */
static inline uint64_t p61_fold(uint64_t x)
{
    return (x & P) + (x >> 61);
}

/* x < 2^124, to below 2^61 + 2^63; of canonical factors, to below 2P. */
static inline uint64_t p61_reduce(sfl_u128 x)
{
    return ((uint64_t)x & P) + (uint64_t)(x >> 61);
}

#endif
