/* Registers of eight residues, for modulus_kernels.h: AVX-512. The file that includes it says what TARGET is. */
#ifndef SFL_WORDS_AVX512_H
#define SFL_WORDS_AVX512_H

#include <immintrin.h>

#include "modulus.h"

#define INLINE TARGET static inline __attribute__((always_inline))
#define WIDTH 8

typedef __m512i word;

INLINE __mmask8 first_lanes(size_t n)
{
    return n < WIDTH ? (__mmask8)((1U << n) - 1) : 0xff;
}

INLINE word fill(uint64_t x)
{
    return _mm512_set1_epi64((int64_t)x);
}

INLINE word load(const uint64_t *a, size_t n, word rest)
{
    return n >= WIDTH ? _mm512_loadu_si512(a) : _mm512_mask_loadu_epi64(rest, first_lanes(n), a);
}

INLINE void store(uint64_t *a, size_t n, word x)
{
    if (n >= WIDTH) {
        _mm512_storeu_si512(a, x);
    } else {
        _mm512_mask_storeu_epi64(a, first_lanes(n), x);
    }
}

INLINE word put(word x, size_t lane, word y)
{
    return _mm512_mask_mov_epi64(x, lane < WIDTH ? (__mmask8)(1U << lane) : 0, y);
}

/* The largest of each lane. */
INLINE word watch(word seen, word a, word m)
{
    (void)m;
    return _mm512_max_epu64(seen, a);
}

INLINE int clean(word seen, word m)
{
    return _mm512_cmpge_epu64_mask(seen, m) == 0;
}

#endif
