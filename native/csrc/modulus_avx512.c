/* Vectors modulo an odd m < 2^64 with AVX-512: Montgomery's reduction with R = 2^64 on products of 32-bit limbs. */
#include "kernels.h"

#ifdef SFL_X86
#define TARGET __attribute__((target("avx512f,avx512dq")))
#include "words_avx512.h"

typedef struct {
    word m, inverse, unit, square, shift, top, reciprocal;
} ring;

INLINE ring prepare(uint64_t m)
{
    const mod_constants p = mod_prepare(m, 64);
    const unsigned s = (unsigned)__builtin_clzll(m);
    return (ring){fill(m), fill(p.inverse), fill(p.unit), fill(p.square), fill(s), fill(m<<s), fill((uint64_t)(~(sfl_u128)0 / (m << s)))};
}

INLINE word subtract(word a, word b, const ring *r)
{
    const word difference = _mm512_sub_epi64(a, b);
    return _mm512_mask_add_epi64(difference, _mm512_cmplt_epu64_mask(a, b), difference, r->m);
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

/* Without Montgomery: the product of two words by the reciprocal of m (Moeller and Granlund 2011, algorithm 4), with m
 * and one factor moved up until the top bit of m is set. */
INLINE word multiply(word a, word b, const ring *r)
{
    const word up = _mm512_sllv_epi64(a, r->shift), over = high(up, b), under = _mm512_mullo_epi64(up, b);
    const word rest = _mm512_add_epi64(_mm512_mullo_epi64(over, r->reciprocal), under);
    word quotient = _mm512_add_epi64(high(over, r->reciprocal), over);
    quotient = _mm512_mask_add_epi64(quotient, _mm512_cmplt_epu64_mask(rest, under), quotient, fill(1));
    const word taken = _mm512_mullo_epi64(quotient, r->top);
    word left = _mm512_sub_epi64(_mm512_sub_epi64(under, taken), r->top);
    left = _mm512_mask_add_epi64(left, _mm512_cmpgt_epu64_mask(left, rest), left, r->top);
    return _mm512_srlv_epi64(_mm512_min_epu64(left, _mm512_sub_epi64(left, r->top)), r->shift);
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

INLINE word watch(word seen, word a, const ring *r)
{
    (void)r;
    return larger(seen, a);
}

INLINE int clean(word seen, const ring *r)
{
    return all_below(seen, r->m);
}

#include "modulus_kernels.h"

int sfl_mod_avx512_usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
}

const sfl_mod_kernels sfl_mod_avx512 = {KERNELS};

#endif
