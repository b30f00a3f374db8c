/* MurmurHash3_x64_128 (Austin Appleby) of keys of exactly eight bytes, little-endian: the body loop is empty, the tail
 * is the key. Its one definition, for one key and for eight. */
#ifndef SFL_MURMUR3_H
#define SFL_MURMUR3_H

#include "kernels.h"

#define MURMUR3_LENGTH UINT64_C(8)
#define MURMUR3_KEY_1 UINT64_C(0x87c37b91114253d5)
#define MURMUR3_KEY_2 UINT64_C(0x4cf5ad432745937f)
#define MURMUR3_FINISH_1 UINT64_C(0xff51afd7ed558ccd)
#define MURMUR3_FINISH_2 UINT64_C(0xc4ceb9fe1a85ec53)

typedef struct {
    uint64_t a, b; /* first and second half */
} murmur3_digest;

static inline uint64_t murmur3_finish(uint64_t x)
{
    x = (x ^ x >> 33) * MURMUR3_FINISH_1;
    x = (x ^ x >> 33) * MURMUR3_FINISH_2;
    return x ^ x >> 33;
}

static inline murmur3_digest murmur3(uint64_t key, uint32_t seed)
{
    uint64_t a = key * MURMUR3_KEY_1, b = seed ^ MURMUR3_LENGTH;
    a = (a << 31 | a >> 33) * MURMUR3_KEY_2 ^ seed ^ MURMUR3_LENGTH;
    a += b;
    b += a;
    a = murmur3_finish(a);
    b = murmur3_finish(b);
    a += b;
    b += a;
    return (murmur3_digest){a, b};
}

#ifdef SFL_X86
#include <immintrin.h>

#define MURMUR3_AVX512 __attribute__((target("avx512f,avx512dq"))) static inline __attribute__((always_inline))

typedef struct {
    __m512i a, b;
} murmur3_digests;

MURMUR3_AVX512 __m512i murmur3_times(__m512i x, uint64_t factor)
{
    return _mm512_mullo_epi64(x, _mm512_set1_epi64((int64_t)factor));
}

MURMUR3_AVX512 __m512i murmur3_folded(__m512i x)
{
    return _mm512_xor_si512(x, _mm512_srli_epi64(x, 33));
}

MURMUR3_AVX512 __m512i murmur3_finish_8(__m512i x)
{
    x = murmur3_times(murmur3_folded(x), MURMUR3_FINISH_1);
    x = murmur3_times(murmur3_folded(x), MURMUR3_FINISH_2);
    return murmur3_folded(x);
}

MURMUR3_AVX512 murmur3_digests murmur3_8(__m512i keys, uint32_t seed)
{
    const __m512i start = _mm512_set1_epi64((int64_t)(seed ^ MURMUR3_LENGTH));
    const __m512i mixed = murmur3_times(_mm512_rol_epi64(murmur3_times(keys, MURMUR3_KEY_1), 31), MURMUR3_KEY_2);
    __m512i a = _mm512_add_epi64(_mm512_xor_si512(mixed, start), start), b = _mm512_add_epi64(start, a);
    a = murmur3_finish_8(a);
    b = murmur3_finish_8(b);
    a = _mm512_add_epi64(a, b);
    return (murmur3_digests){a, _mm512_add_epi64(b, a)};
}
#endif

#endif
