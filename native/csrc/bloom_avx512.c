/* Bloom filters with AVX-512: sixteen keys hashed, reduced and looked up at once. */
#include "murmur3.h"

#ifdef SFL_X86
#define LANES 16
#define INSERTED 32 /* keys whose cells are all known before the first is set */
#define BLOCK 4096  /* keys whose offsets stay in the first cache */
#define TARGET __attribute__((target("avx512f,avx512dq")))
#define INLINE TARGET static inline __attribute__((always_inline))

/* Where sixteen keys are on their walks: eight in each half. */
typedef struct {
    __m512i probe[2], step[2];
} walks;

INLINE walks start(__m512i keys, __m512i more)
{
    const murmur3_digests low = murmur3_8(keys, 0), high = murmur3_8(more, 0);
    const __m512i one = _mm512_set1_epi64(1);
    return (walks){{low.a, high.a}, {_mm512_or_si512(low.b, one), _mm512_or_si512(high.b, one)}};
}

/* 2^32 times the cell, and a fraction: probe * cells / 2^32, of which nothing that matters is cut off. */
INLINE __m512i scaled(__m512i probe, __m512i cells)
{
    const __m512i low = _mm512_srli_epi64(_mm512_mul_epu32(probe, cells), 32);
    return _mm512_add_epi64(_mm512_mul_epu32(_mm512_srli_epi64(probe, 32), cells), low);
}

/* The sixteen cells, 32 bits each. */
INLINE __m512i cells_of(const walks *w, __m512i cells)
{
    const __m512i upper = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    return _mm512_permutex2var_epi32(scaled(w->probe[0], cells), upper, scaled(w->probe[1], cells));
}

INLINE void advance(walks *w)
{
    for (int half = 0; half < 2; half++) w->probe[half] = _mm512_add_epi64(w->probe[half], w->step[half]);
}

/* From the first probe to number j. */
INLINE void leap(walks *w, unsigned j)
{
    const __m512i times = _mm512_set1_epi64(j);
    for (int half = 0; half < 2; half++)
        w->probe[half] = _mm512_add_epi64(w->probe[half], _mm512_mullo_epi64(w->step[half], times));
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* of GCC 12's own gather, which without -O is a macro */
INLINE __mmask16 occupied(const uint32_t *words, __m512i cells)
{
    const __m512i found = _mm512_i32gather_epi32(_mm512_srli_epi32(cells, 5), words, 4);
    const __m512i bit = _mm512_srlv_epi32(found, _mm512_and_si512(cells, _mm512_set1_epi32(31)));
    return _mm512_test_epi32_mask(bit, _mm512_set1_epi32(1));
}
#pragma GCC diagnostic pop

/* The first `count` of sixteen lanes. */
INLINE __mmask16 lanes(size_t count)
{
    return count < LANES ? (__mmask16)((1U << count) - 1) : (__mmask16)0xffff;
}

/* The walks of sixteen keys. Of fewer, the first one takes the place of those that are missing. (No masked loads: they
 * halved the speed of whole vectors too.) */
INLINE walks load(const uint64_t *keys, size_t count)
{
    uint64_t padded[LANES];
    if (count < LANES) {
        for (size_t i = 0; i < LANES; i++) padded[i] = keys[i < count ? i : 0];
        keys = padded;
    }
    return start(_mm512_loadu_si512(keys), _mm512_loadu_si512(keys + LANES / 2));
}

/* All cells of sixteen keys; returns the end of them. */
INLINE uint32_t *list_cells(const sfl_bloom *filter, uint32_t *out, walks w)
{
    const __m512i cells = _mm512_set1_epi64((int64_t)filter->cells);
    for (unsigned j = 0; j < filter->hashes; j++, out += LANES) {
        _mm512_storeu_si512(out, cells_of(&w, cells));
        advance(&w);
    }
    return out;
}

TARGET void sfl_bloom_avx512_insert_var(const sfl_bloom *filter, const uint64_t *keys, size_t count)
{
    uint32_t listed[INSERTED * SFL_BLOOM_HASHES], *const words = filter->words;
    for (size_t i = 0; i < count; i += INSERTED) {
        uint32_t *end = listed;
        for (size_t k = i; k < i + INSERTED && k < count; k += LANES)
            end = list_cells(filter, end, load(keys + k, count - k));
        for (const uint32_t *cell = listed; cell < end; cell++) words[*cell >> 5] |= UINT32_C(1) << (*cell & 31);
    }
}

TARGET void sfl_bloom_avx512_contains_var(const sfl_bloom *filter, uint8_t *found, const uint64_t *keys, size_t count)
{
    const __m512i cells = _mm512_set1_epi64((int64_t)filter->cells);
    for (size_t i = 0; i < count; i += LANES) {
        walks w = load(keys + i, count - i);
        __mmask16 all = 0xffff;
        for (unsigned j = 0; j < filter->hashes; j++) {
            all &= occupied(filter->words, cells_of(&w, cells));
            advance(&w);
        }
        _mm512_mask_cvtepi32_storeu_epi8(found + i, lanes(count - i), _mm512_maskz_set1_epi32(all, 1));
    }
}

/* The keys first + offset, ascending. */
INLINE walks start_at(uint64_t first, __m512i offsets)
{
    const __m512i base = _mm512_set1_epi64((int64_t)first);
    const __m256i more = _mm512_extracti64x4_epi64(offsets, 1);
    return start(_mm512_add_epi64(base, _mm512_cvtepu32_epi64(_mm512_castsi512_si256(offsets))),
                 _mm512_add_epi64(base, _mm512_cvtepu32_epi64(more)));
}

/* Of the first `count` of sixteen offsets those whose probe j hits go to `left`; returns how many. */
INLINE size_t keep(const sfl_bloom *filter, uint32_t *left, uint64_t first, __m512i offsets, size_t count, unsigned j)
{
    walks w = start_at(first, offsets);
    leap(&w, j);
    const __m512i cells = _mm512_set1_epi64((int64_t)filter->cells);
    const __mmask16 hit = occupied(filter->words, cells_of(&w, cells)) & lanes(count);
    _mm512_storeu_si512(left, _mm512_maskz_compress_epi32(hit, offsets));
    return (size_t)__builtin_popcount(hit);
}

/* As in portable C, but a walk starts again at each probe: hashing twice is cheaper than moving the walk. */
TARGET static size_t block_members_var(const sfl_bloom *filter, int64_t *out, uint64_t first, size_t count)
{
    uint32_t offsets[BLOCK + LANES];
    const __m512i counted = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    size_t left = 0;
    for (size_t i = 0; i < count; i += LANES) {
        const __m512i next = _mm512_add_epi32(counted, _mm512_set1_epi32((int)i));
        left += keep(filter, offsets + left, first, next, count - i, 0);
    }
    for (unsigned j = 1; j < filter->hashes; j++) {
        const size_t before = left;
        left = 0;
        for (size_t i = 0; i < before; i += LANES)
            left += keep(filter, offsets + left, first, _mm512_loadu_si512(offsets + i), before - i, j);
    }
    for (size_t i = 0; i < left; i++) out[i] = (int64_t)(first + offsets[i]);
    return left;
}

TARGET size_t sfl_bloom_avx512_members_var(const sfl_bloom *filter, int64_t *out, uint64_t first, size_t count)
{
    size_t total = 0;
    for (size_t at = 0; at < count; at += BLOCK) {
        const size_t block = count - at < BLOCK ? count - at : BLOCK;
        total += block_members_var(filter, out + total, first + at, block);
    }
    return total;
}

#endif
