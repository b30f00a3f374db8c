/* Bit packing with AVX-512 VBMI: eight lanes of a register, `width` bits each, are `width` bytes of memory, by byte
 * permutations that are found once a call. A lane is a 64-bit word, or two neighbouring 32-bit words cut and joined. */
#include "kernels.h"

#ifdef SFL_X86
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vbmi")))
#define INLINE TARGET static inline __attribute__((always_inline))

enum { LANES = 8 };

int sfl_vbmi_usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vbmi");
}

INLINE __m512i every(uint64_t value)
{
    return _mm512_set1_epi64((long long)value);
}

INLINE uint64_t low(size_t bits)
{
    return bits ? UINT64_MAX >> (64 - bits) : 0;
}

/* ---- Where lanes stand in memory ---- */

typedef struct {
    size_t bits, word, width;
    __m512i shift, back; /* where a lane begins within its first byte, and 64 less that */
} layout;

INLINE layout find_layout(size_t bits, size_t word)
{
    layout l = {.bits = bits, .word = word, .width = word == 4 ? 2 * bits : bits};
    uint64_t shift[LANES];
    for (size_t i = 0; i < LANES; i++) shift[i] = i * l.width % 8;
    l.shift = _mm512_loadu_si512(shift);
    l.back = _mm512_sub_epi64(every(64), l.shift);
    return l;
}

INLINE size_t group(const layout *l)
{
    return 64 / l->word;
}

INLINE size_t bytes_of(const layout *l, size_t count)
{
    return (count * l->bits + 7) / 8;
}

INLINE __m512i load_words(const uint8_t *values, size_t word, size_t count)
{
    return word == 4 ? _mm512_maskz_loadu_epi32((__mmask16)low(count), values)
                     : _mm512_maskz_loadu_epi64((__mmask8)low(count), values);
}

INLINE void store_words(uint8_t *values, size_t word, size_t count, __m512i x)
{
    if (word == 4) _mm512_mask_storeu_epi32(values, (__mmask16)low(count), x);
    else _mm512_mask_storeu_epi64(values, (__mmask8)low(count), x);
}

/* ---- Packing: a byte of memory is of one lane, or of two neighbours, one even and one odd ---- */

typedef struct {
    layout l;
    __m512i even, odd; /* for each byte of memory: which byte of an even, of an odd lane; its ninth stands 64 further */
    __mmask64 from_even, from_odd;
} packing;

INLINE packing find_packing(size_t bits, size_t word)
{
    packing p = {.l = find_layout(bits, word)};
    uint8_t from[2][64] = {{0}};
    uint64_t used[2] = {0};
    for (size_t i = 0; i < LANES; i++) {
        const size_t first = i * p.l.width / 8, end = ((i + 1) * p.l.width + 7) / 8;
        for (size_t j = first; j < end; j++) {
            from[i % 2][j] = (uint8_t)(j - first < 8 ? 8 * i + j - first : 64 + 8 * i);
            used[i % 2] |= UINT64_C(1) << j;
        }
    }
    p.even = _mm512_loadu_si512(from[0]), p.odd = _mm512_loadu_si512(from[1]);
    p.from_even = used[0], p.from_odd = used[1];
    return p;
}

INLINE void pack_group(uint8_t *out, const uint8_t *values, size_t count, const packing *p)
{
    const size_t bits = p->l.bits;
    __m512i x = load_words(values, p->l.word, count);
    if (p->l.word == 4) {
        const __m512i second = _mm512_and_si512(_mm512_srli_epi64(x, 32), every(low(bits)));
        x = _mm512_or_si512(_mm512_and_si512(x, every(low(bits))), _mm512_sll_epi64(second, _mm_cvtsi64_si128((int64_t)bits)));
    } else x = _mm512_and_si512(x, every(low(bits)));
    const __m512i first = _mm512_sllv_epi64(x, p->l.shift), ninth = _mm512_srlv_epi64(x, p->l.back);
    const __m512i even = _mm512_maskz_permutex2var_epi8(p->from_even, first, p->even, ninth);
    const __m512i odd = _mm512_maskz_permutex2var_epi8(p->from_odd, first, p->odd, ninth);
    _mm512_mask_storeu_epi8(out, low(bytes_of(&p->l, count)), _mm512_or_si512(even, odd));
}

INLINE void pack(uint8_t *out, const uint8_t *values, size_t word, size_t count, size_t bits)
{
    const packing p = find_packing(bits, word);
    const size_t whole = group(&p.l);
    for (; count >= whole; count -= whole, values += 64, out += p.l.width) pack_group(out, values, whole, &p);
    if (count > 0) pack_group(out, values, count, &p);
}

TARGET void sfl_vbmi_pack(uint8_t *out, const void *values, size_t word, size_t count, unsigned bits)
{
    if (word == 4 && 2 <= bits && bits <= 32) pack(out, values, 4, count, bits);
    else if (word == 8 && 6 <= bits) pack(out, values, 8, count, bits);
    else sfl_portable_pack(out, values, word, count, bits); /* a byte may be of three lanes, or a word ends in a lane */
}

/* ---- The way back: the eight bytes of a lane and its ninth ---- */

typedef struct {
    layout l;
    __m512i first, ninth;
} unpacking;

INLINE unpacking find_unpacking(size_t bits, size_t word)
{
    unpacking u = {.l = find_layout(bits, word)};
    uint8_t first[64], ninth[64] = {0};
    for (size_t i = 0; i < LANES; i++) {
        const size_t at = i * u.l.width / 8;
        for (size_t k = 0; k < 8; k++) first[8 * i + k] = (uint8_t)(at + k < 64 ? at + k : 63);
        ninth[8 * i] = (uint8_t)(at + 8 < 64 ? at + 8 : 63);
    }
    u.first = _mm512_loadu_si512(first), u.ninth = _mm512_loadu_si512(ninth);
    return u;
}

/* Whatever a permutation fetches beyond a lane's bits is cut off. */
INLINE void unpack_group(uint8_t *values, const uint8_t *data, size_t count, const unpacking *u)
{
    const __m512i bytes = _mm512_maskz_loadu_epi8(low(bytes_of(&u->l, count)), data), mask = every(low(u->l.bits));
    const __m512i first = _mm512_srlv_epi64(_mm512_permutexvar_epi8(u->first, bytes), u->l.shift);
    const __m512i ninth = _mm512_sllv_epi64(_mm512_permutexvar_epi8(u->ninth, bytes), u->l.back);
    __m512i x = _mm512_or_si512(first, ninth);
    if (u->l.word == 4) {
        const __m512i second = _mm512_srl_epi64(x, _mm_cvtsi64_si128((int64_t)u->l.bits));
        x = _mm512_or_si512(_mm512_and_si512(x, mask), _mm512_slli_epi64(_mm512_and_si512(second, mask), 32));
    } else x = _mm512_and_si512(x, mask);
    store_words(values, u->l.word, count, x);
}

INLINE void unpack(uint8_t *values, const uint8_t *data, size_t word, size_t count, size_t bits)
{
    const unpacking u = find_unpacking(bits, word);
    const size_t whole = group(&u.l);
    for (; count >= whole; count -= whole, values += 64, data += u.l.width) unpack_group(values, data, whole, &u);
    if (count > 0) unpack_group(values, data, count, &u);
}

TARGET void sfl_vbmi_unpack(void *values, const uint8_t *data, size_t word, size_t count, unsigned bits)
{
    if (word == 4) unpack(values, data, 4, count, bits);
    else unpack(values, data, 8, count, bits);
}

#endif
