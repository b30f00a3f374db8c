/* Masks with VAES on 512 bits: four blocks a vector. */
#include "kernels.h"

#ifdef SFL_VAES
#define TARGET __attribute__((target("aes,vaes,avx512f")))
#define BLOCKS 4
#define BROADCAST(p) ((vec)_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(p))))
#define AESENC(x, key) ((vec)_mm512_aesenc_epi128((__m512i)(x), (__m512i)(key)))
#define AESENCLAST(x, key) ((vec)_mm512_aesenclast_epi128((__m512i)(x), (__m512i)(key)))
#include "mask_x86.h"

int sfl_vaes512_usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("aes") && has_vaes() && __builtin_cpu_supports("avx512f");
}

const sfl_mask_kernels sfl_vaes512 = KERNELS;

#endif
