/* Vectors modulo an odd m < 2^52 with AVX-512 IFMA: Montgomery's reduction with R = 2^52, the width of its products. */
#include "kernels.h"

#ifdef SFL_X86
#define TARGET __attribute__((target("avx512f,avx512ifma")))
#include "words_avx512.h"

typedef struct {
    word m, inverse, unit, square;
} ring;

INLINE ring prepare(uint64_t m)
{
    const mod_constants p = mod_prepare(m, 52);
    return (ring){fill(m), fill(p.inverse), fill(p.unit), fill(p.square)};
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

INLINE word low(word a, word b)
{
    return _mm512_madd52lo_epu64(fill(0), a, b);
}

INLINE word high(word a, word b)
{
    return _mm512_madd52hi_epu64(fill(0), a, b);
}

INLINE word times(word a, word b, const ring *r)
{
    const word quotient = low(low(a, b), r->inverse);
    return subtract(high(a, b), high(quotient, r->m), r);
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

int sfl_mod_ifma_usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512ifma");
}

const sfl_mod_kernels sfl_mod_ifma = {KERNELS};

#endif
