/* The AES-256 key schedule (FIPS 197) with AES-NI, for the mask backends of x86. */
#ifndef SFL_AES256_H
#define SFL_AES256_H

#include <immintrin.h>
#include <stdint.h>

#define AESNI __attribute__((target("aes,ssse3")))

typedef struct {
    __m128i round[15];
} key_schedule;

AESNI static inline __m128i next_round(__m128i before_last, __m128i word)
{
    __m128i key = before_last;
    for (int i = 0; i < 3; i++) key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    return _mm_xor_si128(key, word);
}

AESNI static inline void expand_key(key_schedule *s, const uint8_t key[32])
{
    __m128i *k = s->round;
    k[0] = _mm_loadu_si128((const __m128i *)key);
    k[1] = _mm_loadu_si128((const __m128i *)(key + 16));
#define EVEN(i, rcon) k[i] = next_round(k[i - 2], _mm_shuffle_epi32(_mm_aeskeygenassist_si128(k[i - 1], rcon), 0xff))
#define ODD(i) k[i] = next_round(k[i - 2], _mm_shuffle_epi32(_mm_aeskeygenassist_si128(k[i - 1], 0), 0xaa))
    EVEN(2, 1);
    ODD(3);
    EVEN(4, 2);
    ODD(5);
    EVEN(6, 4);
    ODD(7);
    EVEN(8, 8);
    ODD(9);
    EVEN(10, 16);
    ODD(11);
    EVEN(12, 32);
    ODD(13);
    EVEN(14, 64);
#undef EVEN
#undef ODD
}

#endif
