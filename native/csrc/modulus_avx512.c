/* Vectors modulo an odd m < 2^64 with AVX-512: Montgomery's reduction with R = 2^64 on products of 32-bit halves. */
#include "kernels.h"

#ifdef SFL_X86
#define TARGET __attribute__((target("avx512f,avx512dq")))
#include "words_avx512.h"

/* top = m 2^shift has its highest bit set; reciprocal = floor((2^128 - 1) / top) - 2^64. */
typedef struct {
    word m, inverse, unit, square, shift, top, reciprocal;
} ring;

INLINE ring prepare(uint64_t m)
{
    const mod_constants p = mod_prepare(m, 64);
    const uint64_t shift = (uint64_t)__builtin_clzll(m), top = m << shift;
    return (ring){
        .m = fill(m),
        .inverse = fill(p.inverse),
        .unit = fill(p.unit),
        .square = fill(p.square),
        .shift = fill(shift),
        .top = fill(top),
        .reciprocal = fill((uint64_t)(~(sfl_u128)0 / top)),
    };
}

INLINE word plus_where(word a, __mmask8 where, word b)
{
    return _mm512_mask_add_epi64(a, where, a, b);
}

INLINE word subtract(word a, word b, const ring *r)
{
    const word difference = _mm512_sub_epi64(a, b);
    return plus_where(difference, _mm512_cmplt_epu64_mask(a, b), r->m);
}

INLINE word add(word a, word b, const ring *r)
{
    return subtract(a, _mm512_sub_epi64(r->m, b), r);
}

/* a b / 2^64, by schoolbook on halves. */
INLINE word high(word a, word b)
{
    const word a1 = _mm512_srli_epi64(a, 32), b1 = _mm512_srli_epi64(b, 32), half = fill(UINT32_MAX);
    const word low = _mm512_srli_epi64(_mm512_mul_epu32(a, b), 32);
    const word left = _mm512_add_epi64(_mm512_mul_epu32(a1, b), low);
    const word right = _mm512_add_epi64(_mm512_mul_epu32(a, b1), _mm512_and_si512(left, half));
    return _mm512_add_epi64(_mm512_add_epi64(_mm512_mul_epu32(a1, b1), _mm512_srli_epi64(left, 32)),
                            _mm512_srli_epi64(right, 32));
}

INLINE word times(word a, word b, const ring *r)
{
    const word quotient = _mm512_mullo_epi64(_mm512_mullo_epi64(a, b), r->inverse);
    return subtract(high(a, b), high(quotient, r->m), r);
}

/* The product of two plain factors by the reciprocal of top, one factor moved up with it (Moeller and Granlund, "Improved
 * division by invariant integers", 2011, algorithm 4): less work than two of Montgomery's products. */
INLINE word multiply(word a, word b, const ring *r)
{
    const word up = _mm512_sllv_epi64(a, r->shift), upper = high(up, b), lower = _mm512_mullo_epi64(up, b);
    const word fraction = _mm512_add_epi64(_mm512_mullo_epi64(upper, r->reciprocal), lower);
    word quotient = _mm512_add_epi64(_mm512_add_epi64(high(upper, r->reciprocal), upper), fill(1));
    quotient = plus_where(quotient, _mm512_cmplt_epu64_mask(fraction, lower), fill(1));
    word rest = _mm512_sub_epi64(lower, _mm512_mullo_epi64(quotient, r->top));
    rest = plus_where(rest, _mm512_cmpgt_epu64_mask(rest, fraction), r->top);
    return _mm512_srlv_epi64(_mm512_min_epu64(rest, _mm512_sub_epi64(rest, r->top)), r->shift);
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

int sfl_mod_avx512_usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
}

const sfl_mod_kernels sfl_mod_avx512 = {KERNELS};

#endif
