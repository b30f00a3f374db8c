/* Masks with VAES and AVX-512: eight registers of four blocks in flight. Rows are short and go to AES-NI. */
#include "kernels.h"

#ifdef SFL_X86
#include "aes256.h"

#define LANES 8
#define LANE_BYTES 64
#define EACH_LANE(j) _Pragma("GCC unroll 8") for (int j = 0; j < LANES; j++)
#define VAES __attribute__((target("aes,ssse3,vaes,avx512f,avx512bw")))
#define INLINE VAES static inline __attribute__((always_inline))

int sfl_vaes_usable(void)
{
    __builtin_cpu_init();
    return sfl_aesni_usable() && __builtin_cpu_supports("vaes") && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw");
}

INLINE __m512i masked(__m512i x, __m512i pad, sfl_op op)
{
    switch (op) {
    case SFL_ADD32: return _mm512_add_epi32(x, pad);
    case SFL_SUB32: return _mm512_sub_epi32(x, pad);
    case SFL_ADD64: return _mm512_add_epi64(x, pad);
    default: return _mm512_sub_epi64(x, pad);
    }
}

/* 32 consecutive pads. `first` holds four little-endian counters; the bytes of each are reversed on the way in. */
INLINE void run_pads(__m512i pad[LANES], __m512i first, const __m512i round[15])
{
    const __m512i reversed =
        _mm512_broadcast_i32x4(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    EACH_LANE(j)
    {
        const __m512i counter = _mm512_add_epi64(first, _mm512_set_epi64(0, 4 * j, 0, 4 * j, 0, 4 * j, 0, 4 * j));
        pad[j] = _mm512_xor_si512(_mm512_shuffle_epi8(counter, reversed), round[0]);
    }
    _Pragma("GCC unroll 13") for (int r = 1; r < 14; r++)
    {
        EACH_LANE(j) pad[j] = _mm512_aesenc_epi128(pad[j], round[r]);
    }
    EACH_LANE(j) pad[j] = _mm512_aesenclast_epi128(pad[j], round[14]);
}

INLINE void mask_lane(uint8_t *out, __m512i pad, sfl_op op)
{
    _mm512_storeu_si512(out, masked(_mm512_loadu_si512(out), pad, op));
}

/* The first bytes < 64 of a lane; nothing beyond them is read or written. */
INLINE void mask_part(uint8_t *out, size_t bytes, __m512i pad, sfl_op op)
{
    const __mmask64 there = ((__mmask64)1 << bytes) - 1;
    _mm512_mask_storeu_epi8(out, there, masked(_mm512_maskz_loadu_epi8(there, out), pad, op));
}

INLINE void mask_run(uint8_t *out, size_t bytes, const key_schedule *s, sfl_op op)
{
    __m512i round[15], pad[LANES], first = _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0);
    _Pragma("GCC unroll 15") for (int r = 0; r < 15; r++) round[r] = _mm512_broadcast_i32x4(s->round[r]);
    for (; bytes >= LANES * LANE_BYTES; bytes -= LANES * LANE_BYTES, out += LANES * LANE_BYTES) {
        run_pads(pad, first, round);
        EACH_LANE(j) mask_lane(out + LANE_BYTES * j, pad[j], op);
        first = _mm512_add_epi64(first, _mm512_set_epi64(0, 32, 0, 32, 0, 32, 0, 32));
    }
    if (bytes > 0) {
        __m512i *next = pad;
        run_pads(pad, first, round);
        for (; bytes >= LANE_BYTES; bytes -= LANE_BYTES, out += LANE_BYTES) mask_lane(out, *next++, op);
        mask_part(out, bytes, *next, op);
    }
    sfl_wipe(pad, sizeof pad);
    sfl_wipe(round, sizeof round);
}

VAES void sfl_vaes_add_stream(uint8_t *out, size_t bytes, sfl_op op, const uint8_t key[32])
{
    key_schedule stream;
    expand_key(&stream, key);
    switch (op) {
    case SFL_ADD32: mask_run(out, bytes, &stream, SFL_ADD32); break;
    case SFL_SUB32: mask_run(out, bytes, &stream, SFL_SUB32); break;
    case SFL_ADD64: mask_run(out, bytes, &stream, SFL_ADD64); break;
    case SFL_SUB64: mask_run(out, bytes, &stream, SFL_SUB64); break;
    }
    sfl_wipe(&stream, sizeof stream);
}

#endif
