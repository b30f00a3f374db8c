/* Vectors modulo 2^61 - 1 on any machine. R is 1: a product is reduced by a shift and an addition. */
#include "p61.h"
#include "words_portable.h"

typedef struct {
    word m, unit, square;
} ring;

INLINE ring prepare(uint64_t m)
{
    return (ring){m, 1, 1};
}

INLINE word add(word a, word b, const ring *r)
{
    (void)r;
    return p61_canonical(a + b);
}

INLINE word subtract(word a, word b, const ring *r)
{
    (void)r;
    return p61_canonical(a + P - b);
}

/* a <= P + 7 and b < P. Loose is below 2P, or a little more when a is not canonical. */
INLINE word times(word a, word b, const ring *r)
{
    (void)r;
    return p61_reduce((sfl_u128)a * b);
}

INLINE word multiply(word a, word b, const ring *r)
{
    return times(a, b, r);
}

INLINE word plus(word a, word b, const ring *r)
{
    (void)r;
    return p61_fold(a + b);
}

INLINE word settle(word a, const ring *r)
{
    (void)r;
    return p61_canonical(a);
}

#include "modulus_kernels.h"

const sfl_mod_kernels sfl_p61 = {KERNELS};
