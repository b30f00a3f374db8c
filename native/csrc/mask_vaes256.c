/* Masks with VAES on 256 bits: two blocks a vector, for processors without AVX-512. */
#include "kernels.h"

#ifdef SFL_VAES
#define TARGET __attribute__((target("aes,vaes,avx2")))
#define BLOCKS 2
#define BROADCAST(p) ((vec)_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(p))))
#define AESENC(x, key) ((vec)_mm256_aesenc_epi128((__m256i)(x), (__m256i)(key)))
#define AESENCLAST(x, key) ((vec)_mm256_aesenclast_epi128((__m256i)(x), (__m256i)(key)))
#include "mask_x86.h"

int sfl_vaes256_usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("aes") && has_vaes() && __builtin_cpu_supports("avx2");
}

const sfl_mask_kernels sfl_vaes256 = KERNELS;

#endif
