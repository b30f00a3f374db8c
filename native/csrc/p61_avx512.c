/* Vectors modulo 2^61 - 1 with AVX-512: products of 32-bit limbs, reduced by shifts and additions. R is 1. */
#include "p61.h"

#ifdef SFL_X86
#define TARGET __attribute__((target("avx512f")))
#include "words_avx512.h"

typedef struct {
    word m, unit, square;
} ring;

INLINE ring prepare(uint64_t m)
{
    return (ring){fill(m), fill(1), fill(1)};
}

INLINE word smaller(word a, word b)
{
    return _mm512_min_epu64(a, b);
}

INLINE word add(word a, word b, const ring *r)
{
    const word sum = _mm512_add_epi64(a, b);
    return smaller(sum, _mm512_sub_epi64(sum, r->m));
}

INLINE word subtract(word a, word b, const ring *r)
{
    const word difference = _mm512_sub_epi64(a, b);
    return smaller(difference, _mm512_add_epi64(difference, r->m));
}

/* Any a, to at most P + 7, which is what loose means here. */
INLINE word fold(word a, const ring *r)
{
    return _mm512_add_epi64(_mm512_and_si512(a, r->m), _mm512_srli_epi64(a, 61));
}

/* a < 2^63 and b < 2^61, so that with limbs of 32 bits a b = low + middle 2^32 + high 2^64, middle < 2^63 + 2^61 and
 * high < 2^60, where 2^64 = 8 and 2^61 = 1. */
INLINE word times(word a, word b, const ring *r)
{
    const word a1 = _mm512_srli_epi64(a, 32), b1 = _mm512_srli_epi64(b, 32);
    const word low = _mm512_mul_epu32(a, b), high = _mm512_mul_epu32(a1, b1);
    const word middle = _mm512_add_epi64(_mm512_mul_epu32(a, b1), _mm512_mul_epu32(a1, b));
    const word shifted = _mm512_and_si512(_mm512_slli_epi64(middle, 32), r->m);
    const word sum = _mm512_add_epi64(_mm512_add_epi64(fold(low, r), _mm512_slli_epi64(high, 3)),
                                      _mm512_add_epi64(shifted, _mm512_srli_epi64(middle, 29)));
    return fold(sum, r);
}

INLINE word multiply(word a, word b, const ring *r)
{
    return times(a, b, r);
}

INLINE word plus(word a, word b, const ring *r)
{
    (void)r;
    return _mm512_add_epi64(a, b);
}

INLINE word settle(word a, const ring *r)
{
    return smaller(a, _mm512_sub_epi64(a, r->m));
}

#include "modulus_kernels.h"

int sfl_p61_avx512_usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f");
}

const sfl_mod_kernels sfl_p61_avx512 = {KERNELS};

#endif
