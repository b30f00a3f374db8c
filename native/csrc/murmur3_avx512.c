/* Batch hashing with AVX-512: eight keys a step, their halves interleaved on the way out. */
#include "murmur3.h"

#ifdef SFL_X86
#define LANES 8
#define TARGET __attribute__((target("avx512f,avx512dq")))

int sfl_murmur3_avx512_usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
}

/* The sixteen halves of eight keys, in the order of the keys. */
TARGET static inline void interleave(__m512i out[2], murmur3_digests digests)
{
    out[0] = _mm512_permutex2var_epi64(digests.a, _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0), digests.b);
    out[1] = _mm512_permutex2var_epi64(digests.a, _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4), digests.b);
}

TARGET void sfl_murmur3_avx512(uint64_t *out, const uint64_t *keys, size_t count, uint32_t seed)
{
    __m512i halves[2];
    for (; count >= LANES; count -= LANES, keys += LANES, out += 2 * LANES) {
        interleave(halves, murmur3_8(_mm512_loadu_si512(keys), seed));
        _mm512_storeu_si512(out, halves[0]);
        _mm512_storeu_si512(out + LANES, halves[1]);
    }
    const unsigned there = (1U << 2 * count) - 1; /* of the halves; bit 2 i is there when key i is */
    if (there == 0) return;
    interleave(halves, murmur3_8(_mm512_maskz_loadu_epi64((__mmask8)((1U << count) - 1), keys), seed));
    _mm512_mask_storeu_epi64(out, (__mmask8)there, halves[0]);
    _mm512_mask_storeu_epi64(out + LANES, (__mmask8)(there >> LANES), halves[1]);
}

#endif
