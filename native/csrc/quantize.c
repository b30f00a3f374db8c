/* Floats to words. No branch depends on a value; how long a processor takes to divide may. */
#include <float.h>
#include <math.h>

#include "kernels.h"

#define INLINE static inline __attribute__((always_inline))

enum { DRAWS = 4096 }; /* made at a time: they stay in the nearest cache */

INLINE double get(const void *values, size_t real, size_t i)
{
    return real == 4 ? (double)((const float *)values)[i] : ((const double *)values)[i];
}

INLINE void set(void *out, size_t word, size_t i, int64_t value)
{
    if (word == 4) ((uint32_t *)out)[i] = (uint32_t)value;
    else ((uint64_t *)out)[i] = (uint64_t)value;
}

/* Values from..end, counted row after row, with the draws of the first one on; not 0 when one is no finite number. */
INLINE int round_values(const sfl_quantization *job, size_t word, size_t real, size_t from, size_t end,
                        const uint32_t *draws)
{
    const double clip = job->clip, levels = job->levels;
    int wild = 0;
    if (from == end) return 0;
    for (size_t row = from / job->width, column = from % job->width, i = from; i < end; row++, column = 0) {
        const int64_t weight = job->weights[row];
        for (; column < job->width && i < end; column++, i++) {
            const double x = get(job->values, real, i), above = x > -clip ? x : -clip, inside = above < clip ? above : clip;
            const double scaled = inside / clip * levels; /* clip / clip is exactly 1: nothing goes above the levels */
            const int32_t cut = (int32_t)scaled, down = cut - ((double)cut > scaled);
            const int32_t up = (double)draws[i - from] < (scaled - down) * 0x1p32;
            wild |= !(fabs(x) <= DBL_MAX);
            set(job->out, word, i + row, (down + up) * weight);
        }
    }
    return wild;
}

static int round_part(const sfl_quantization *job, size_t from, size_t end, const uint32_t *draws)
{
    if (job->word == 4 && job->real == 4) return round_values(job, 4, 4, from, end, draws);
    if (job->word == 4) return round_values(job, 4, 8, from, end, draws);
    if (job->real == 4) return round_values(job, 8, 4, from, end, draws);
    return round_values(job, 8, 8, from, end, draws);
}

static void append_weights(const sfl_quantization *job)
{
    for (size_t r = 0; r < job->rows; r++) set(job->out, job->word, r * (job->width + 1) + job->width, job->weights[r]);
}

int sfl_quantize(const sfl_quantization *job, const uint32_t *draws)
{
    append_weights(job);
    return !round_part(job, 0, job->rows * job->width, draws);
}

int sfl_quantize_stream(const sfl_mask_backend *backend, const sfl_quantization *job, const uint8_t key[32])
{
    static const uint8_t add[1] = {0};
    const size_t count = job->rows * job->width;
    uint32_t draws[DRAWS];
    int wild = 0;
    append_weights(job);
    for (size_t from = 0; from < count; from += DRAWS) {
        const size_t end = count - from < DRAWS ? count : from + DRAWS;
        const sfl_streams stream = {(uint8_t *)draws, 4 * (end - from), 4, key, add, 1, from / 4};
        memset(draws, 0, sizeof draws);
        sfl_add_streams(backend, &stream, 1);
        wild |= round_part(job, from, end, draws);
    }
    sfl_wipe(draws, sizeof draws);
    return !wild;
}
