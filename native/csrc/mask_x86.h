/* AES on x86, for vectors of every width. A backend defines TARGET, BLOCKS, BROADCAST(p), AESENC(x, key) and
 * AESENCLAST(x, key) before. */
#ifndef SFL_MASK_X86_H
#define SFL_MASK_X86_H

#include <immintrin.h>

#include "mask_vec.h"

INLINE uint32_t sub_word(uint32_t word)
{
    return (uint32_t)_mm_cvtsi128_si32(_mm_aeskeygenassist_si128(_mm_set1_epi32((int)word), 0));
}

INLINE vec two_rounds(vec x, const vec_schedule *s)
{
    return AESENC(AESENC(x ^ s->round[0], s->round[1]), s->round[2]);
}

INLINE void finish(vec x[LANES], const vec_schedule *s)
{
    EACH_ROUND(r, 3, 14) EACH_LANE(j) x[j] = AESENC(x[j], s->round[r]);
    EACH_LANE(j) x[j] = AESENCLAST(x[j], s->round[14]);
}

#include "mask_lanes.h"

#endif
