/* Masks with AES-NI: eight blocks in flight hide the latency of aesenc; pads are added where they are made. */
#include "kernels.h"

#ifdef SFL_X86
#include "aes256.h"

#define LANES 8
#define EACH_LANE(j) _Pragma("GCC unroll 8") for (int j = 0; j < LANES; j++)
#define INLINE AESNI static inline __attribute__((always_inline))

int sfl_aesni_usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("ssse3");
}

/* ---- AES-256 ---- */

INLINE void encrypt(__m128i block[LANES], const key_schedule *s)
{
    EACH_LANE(j) block[j] = _mm_xor_si128(block[j], s->round[0]);
    _Pragma("GCC unroll 13") for (int r = 1; r < 14; r++)
    {
        const __m128i key = s->round[r];
        EACH_LANE(j) block[j] = _mm_aesenc_si128(block[j], key);
    }
    EACH_LANE(j) block[j] = _mm_aesenclast_si128(block[j], s->round[14]);
}

/* ---- A pad meets its words ---- */

INLINE __m128i masked(__m128i x, __m128i pad, sfl_op op)
{
    switch (op) {
    case SFL_ADD32: return _mm_add_epi32(x, pad);
    case SFL_SUB32: return _mm_sub_epi32(x, pad);
    case SFL_ADD64: return _mm_add_epi64(x, pad);
    default: return _mm_sub_epi64(x, pad);
    }
}

INLINE void mask_block(uint8_t *out, __m128i pad, sfl_op op)
{
    __m128i *at = (__m128i *)out;
    _mm_storeu_si128(at, masked(_mm_loadu_si128(at), pad, op));
}

/* The first bytes < 16 of a block: a half, a quarter, or both. */
INLINE void mask_part(uint8_t *out, size_t bytes, __m128i pad, sfl_op op)
{
    if (bytes & 8) {
        __m128i *at = (__m128i *)out;
        _mm_storel_epi64(at, masked(_mm_loadl_epi64(at), pad, op));
        pad = _mm_srli_si128(pad, 8);
        out += 8;
    }
    if (bytes & 4) {
        int word;
        memcpy(&word, out, sizeof word);
        word = _mm_cvtsi128_si32(masked(_mm_cvtsi32_si128(word), pad, op));
        memcpy(out, &word, sizeof word);
    }
}

/* ---- Lanes along one run of consecutive counters ---- */

INLINE __m128i byte_reversed(__m128i x)
{
    return _mm_shuffle_epi8(x, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

INLINE void run_pads(__m128i pad[LANES], __m128i first, const key_schedule *s)
{
    EACH_LANE(j) pad[j] = byte_reversed(_mm_add_epi64(first, _mm_set_epi64x(0, j)));
    encrypt(pad, s);
}

/* Pads AES(first), AES(first + 1), ...; `first` is little-endian here and its low half does not overflow. */
INLINE void mask_run(uint8_t *out, size_t bytes, __m128i first, const key_schedule *s, sfl_op op)
{
    for (; bytes >= 16 * LANES; bytes -= 16 * LANES, out += 16 * LANES) {
        __m128i pad[LANES];
        run_pads(pad, first, s);
        EACH_LANE(j) mask_block(out + 16 * j, pad[j], op);
        first = _mm_add_epi64(first, _mm_set_epi64x(0, LANES));
    }
    if (bytes == 0) return;
    __m128i last[LANES], *pad = last;
    run_pads(last, first, s);
    for (; bytes >= 16; bytes -= 16, out += 16) mask_block(out, *pad++, op);
    mask_part(out, bytes, *pad, op);
    sfl_wipe(last, sizeof last);
}

/* ---- Lanes across rows: block i of eight rows at once, so that short rows fill the pipeline too ---- */

typedef struct {
    uint8_t *row[LANES];
    __m128i tag[LANES];
} row_group;

/* The two last bytes of a tag are free for the block index. */
INLINE void make_tags(row_group *g, const uint8_t *const digest[LANES], const key_schedule *s)
{
    EACH_LANE(j) g->tag[j] = _mm_loadu_si128((const __m128i *)digest[j]);
    encrypt(g->tag, s);
    EACH_LANE(j) g->tag[j] = _mm_xor_si128(g->tag[j], _mm_loadu_si128((const __m128i *)(digest[j] + 16)));
    encrypt(g->tag, s);
}

INLINE void row_pads(__m128i pad[LANES], const row_group *g, size_t block, const key_schedule *s)
{
    const short index = (short)__builtin_bswap16((uint16_t)block);
    EACH_LANE(j) pad[j] = _mm_insert_epi16(g->tag[j], index, 7);
    encrypt(pad, s);
}

INLINE void mask_group(const row_group *g, size_t bytes, const key_schedule *s, sfl_op op)
{
    __m128i pad[LANES];
    size_t done = 0;
    for (; bytes - done >= 16; done += 16) {
        row_pads(pad, g, done / 16, s);
        EACH_LANE(j) mask_block(g->row[j] + done, pad[j], op);
    }
    if (done < bytes) {
        row_pads(pad, g, done / 16, s);
        EACH_LANE(j) mask_part(g->row[j] + done, bytes - done, pad[j], op);
    }
}

INLINE void mask_rows(const sfl_rows *job, const key_schedule *tags, const key_schedule *stream, sfl_op op)
{
    for (size_t k = 0; k < job->count; k += LANES) {
        const int lanes = job->count - k < LANES ? (int)(job->count - k) : LANES;
        const uint8_t *digest[LANES];
        row_group g;
        EACH_LANE(j)
        {
            const size_t at = k + (size_t)(j < lanes ? j : 0);
            const size_t row = job->index ? (size_t)job->index[at] : at;
            g.row[j] = job->out + row * job->bytes;
            digest[j] = job->digests + row * 32;
        }
        make_tags(&g, digest, tags);
        if (lanes == LANES) {
            mask_group(&g, job->bytes, stream, op);
            continue;
        }
        for (int j = 0; j < lanes; j++) {
            mask_run(g.row[j], job->bytes, byte_reversed(_mm_insert_epi16(g.tag[j], 0, 7)), stream, op);
        }
    }
}

/* ---- The backend: one copy of the loops per operation ---- */

#define FOR_EACH_OP(loop)                                                                                             \
    switch (op) {                                                                                                     \
    case SFL_ADD32: loop(SFL_ADD32); break;                                                                           \
    case SFL_SUB32: loop(SFL_SUB32); break;                                                                           \
    case SFL_ADD64: loop(SFL_ADD64); break;                                                                           \
    case SFL_SUB64: loop(SFL_SUB64); break;                                                                           \
    }

AESNI void sfl_aesni_add_stream(uint8_t *out, size_t bytes, sfl_op op, const uint8_t key[32])
{
    key_schedule stream;
    expand_key(&stream, key);
#define RUN(fixed) mask_run(out, bytes, _mm_setzero_si128(), &stream, fixed)
    FOR_EACH_OP(RUN)
#undef RUN
    sfl_wipe(&stream, sizeof stream);
}

AESNI void sfl_aesni_add_row_streams(const sfl_rows *rows, sfl_op op, const uint8_t tag_key[32],
                                     const uint8_t stream_key[32])
{
    key_schedule tags, stream;
    expand_key(&tags, tag_key);
    expand_key(&stream, stream_key);
#define ROWS(fixed) mask_rows(rows, &tags, &stream, fixed)
    FOR_EACH_OP(ROWS)
#undef ROWS
    sfl_wipe(&tags, sizeof tags);
    sfl_wipe(&stream, sizeof stream);
}

#endif
