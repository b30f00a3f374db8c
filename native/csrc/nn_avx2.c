/* The inference kernels with AVX2 and FMA. */
#include "nn.h"

#ifdef SFL_X86
#include <immintrin.h>

#pragma GCC target("avx2,fma")
#define SFL_WIDTH 8
#define TILE_ROWS 6
#define SFL_MAX _mm256_max_ps
#define SFL_MIN _mm256_min_ps
#include "nn_kernels.h"

static int usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

SFL_NN_BACKEND(avx2, usable);
#endif
