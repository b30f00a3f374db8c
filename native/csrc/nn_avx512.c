/* The inference kernels with AVX-512. */
#include "nn.h"

#ifdef SFL_X86
#include <immintrin.h>

#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl,prefer-vector-width=512")
#define SFL_WIDTH 16
#define TILE_ROWS 14
#define SFL_MAX _mm512_max_ps
#define SFL_MIN _mm512_min_ps
#define SFL_RECIPROCAL _mm512_rcp14_ps
#include "nn_kernels.h"

static int usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}

SFL_NN_BACKEND(avx512, usable);
#endif
