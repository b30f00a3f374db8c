/* AES-256 with nothing around it: as many blocks in registers as hide the latency of a round, fourteen rounds of each,
 * again and again, at the widest this processor has. What a counter mode of fourteen rounds could reach at most. */
#include <immintrin.h>
#include <stddef.h>
#include <string.h>

#if defined(__VAES__) && defined(__AVX512F__)
typedef __m512i vec;
#define AESENC _mm512_aesenc_epi128
enum { LANES = 12 };
#elif defined(__VAES__)
typedef __m256i vec;
#define AESENC _mm256_aesenc_epi128
enum { LANES = 8 };
#else
typedef __m128i vec;
#define AESENC _mm_aesenc_si128
enum { LANES = 8 };
#endif

#define EACH(i, count) _Pragma("GCC unroll 16") for (int i = 0; i < count; i++)

/* Encrypts at least `bytes` bytes; what `state` (LANES vectors) holds goes in and comes out, that nothing is left out. */
void aes_limit(void *state, size_t bytes)
{
    vec x[LANES], key[14];
    EACH(r, 14) memcpy(key + r, (char *)state + r, sizeof(vec));
    memcpy(x, state, sizeof x);
    for (size_t done = 0; done < bytes; done += sizeof x) {
        EACH(r, 14) EACH(j, LANES) x[j] = AESENC(x[j], key[r]);
    }
    memcpy(state, x, sizeof x);
}
