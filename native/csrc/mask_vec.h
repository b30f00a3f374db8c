/* Vectors of BLOCKS blocks of AES. A backend defines TARGET, the attribute of its functions, and BLOCKS before. */
#ifndef SFL_MASK_VEC_H
#define SFL_MASK_VEC_H

#include "mask.h"

#define INLINE TARGET static inline __attribute__((always_inline))

/* In flight at once: enough to hide the latency of a round. */
#define LANES 8
#define EACH_LANE(j) _Pragma("GCC unroll 8") for (size_t j = 0; j < LANES; j++)
#define EACH_ROUND(r, first, end) _Pragma("GCC unroll 15") for (int r = first; r < end; r++)

typedef uint64_t block __attribute__((vector_size(16)));
typedef uint32_t block32 __attribute__((vector_size(16)));
typedef uint64_t half __attribute__((vector_size(8)));
typedef uint32_t half32 __attribute__((vector_size(8)));
typedef block block_at __attribute__((aligned(1), may_alias)); /* anywhere in memory */

typedef uint64_t vec __attribute__((vector_size(16 * BLOCKS)));
typedef uint32_t vec32 __attribute__((vector_size(16 * BLOCKS)));
typedef vec vec_at __attribute__((aligned(1), may_alias));

typedef struct {
    vec round[15];
} vec_schedule;

#endif
