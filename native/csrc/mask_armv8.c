/* Masks with the AES instructions of ARMv8: a vector is a block. */
#include "kernels.h"

#ifdef SFL_ARMV8
#include <arm_neon.h>
#ifdef __linux__
#include <sys/auxv.h>
#endif

#ifdef __ARM_FEATURE_AES
#define TARGET
#else
#define TARGET __attribute__((target("+crypto")))
#endif
#define BLOCKS 1
#include "mask_vec.h"

#define BROADCAST(p) ((vec)vld1q_u8((const uint8_t *)(p)))

/* aese adds the round key first, where x86 adds it last: keys stand one round later here. */
INLINE vec round_of(vec x, vec key)
{
    return (vec)vaesmcq_u8(vaeseq_u8((uint8x16_t)x, (uint8x16_t)key));
}

INLINE vec two_rounds(vec x, const vec_schedule *s)
{
    return round_of(round_of(x, s->round[0]), s->round[1]);
}

INLINE void finish(vec x[LANES], const vec_schedule *s)
{
    EACH_ROUND(r, 2, 13) EACH_LANE(j) x[j] = round_of(x[j], s->round[r]);
    EACH_LANE(j) x[j] = (vec)vaeseq_u8((uint8x16_t)x[j], (uint8x16_t)s->round[13]) ^ s->round[14];
}

/* The rows that aese shifts are of four equal columns here. */
INLINE uint32_t sub_word(uint32_t word)
{
    return vgetq_lane_u32((uint32x4_t)vaeseq_u8((uint8x16_t)vdupq_n_u32(word), vdupq_n_u8(0)), 0);
}

/* v8 to v15 are their callers', whose values are back in them. */
TARGET static void forget(void)
{
    __asm__ __volatile__(".irp n,0,1,2,3,4,5,6,7,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n\t"
                         "movi v\\n\\().2d, #0\n\t.endr" ::
                             : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21",
                               "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}

#include "mask_lanes.h"

int sfl_armv8_usable(void)
{
#ifdef __linux__
    return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
#elif defined(__APPLE__) || defined(__ARM_FEATURE_AES)
    return 1;
#else
    return 0;
#endif
}

const sfl_mask_kernels sfl_armv8 = KERNELS;

#endif
