/* AES on x86, for vectors of every width. A backend defines TARGET, BLOCKS, BROADCAST(p), AESENC(x, key) and
 * AESENCLAST(x, key) before. */
#ifndef SFL_MASK_X86_H
#define SFL_MASK_X86_H

#include <cpuid.h>
#include <immintrin.h>

#include "mask_vec.h"

/* Whether the system keeps the registers is for AVX to say. Not every compiler can ask for VAES; and asking the processor
 * takes microseconds where a hypervisor answers, so it is asked once. */
static inline int has_vaes(void)
{
    static _Atomic int answer; /* 0: not asked yet */
    unsigned a, b, c, d;
    if (!answer) answer = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & (1u << 9)) ? 1 : -1;
    return answer > 0;
}

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

#define FIRST_16                                                                                                      \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", \
        "xmm14", "xmm15"

TARGET static void forget(void)
{
#if BLOCKS == 1
    __asm__ __volatile__(".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\tpxor %%xmm\\n, %%xmm\\n\n\t.endr" ::: FIRST_16);
#else
    __asm__ __volatile__("vzeroall" ::: FIRST_16);
#endif
#if BLOCKS == 4
    __asm__ __volatile__(".irp n,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n\t"
                         "vpxord %%zmm\\n, %%zmm\\n, %%zmm\\n\n\t.endr" ::
                             : "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",
                               "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
#endif
}

#include "mask_lanes.h"

#endif
