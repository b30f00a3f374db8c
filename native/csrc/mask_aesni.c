/* Masks with AES-NI: a vector is a block. */
#include "kernels.h"

#ifdef SFL_X86
#define TARGET __attribute__((target("aes")))
#define BLOCKS 1
#define BROADCAST(p) ((vec)_mm_loadu_si128((const __m128i *)(p)))
#define AESENC(x, key) ((vec)_mm_aesenc_si128((__m128i)(x), (__m128i)(key)))
#define AESENCLAST(x, key) ((vec)_mm_aesenclast_si128((__m128i)(x), (__m128i)(key)))
#include "mask_x86.h"

int sfl_aesni_usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("aes");
}

const sfl_mask_kernels sfl_aesni = KERNELS;

#endif
