/* Bloom filters in portable C, and the table of backends. */
#include "murmur3.h"

#define BLOCK 1024 /* keys whose walks stay in the first cache */

/* Where a key is on its walk through the filter. */
typedef struct {
    uint64_t probe, step;
} walk;

static inline walk start(uint64_t key)
{
    const murmur3_digest digest = murmur3(key, 0);
    return (walk){digest.a, digest.b | 1};
}

/* The cell of the probe; the walk goes on to the next. */
static inline uint64_t advance(walk *w, uint64_t cells)
{
    const uint64_t cell = (uint64_t)((sfl_u128)w->probe * cells >> 64);
    w->probe += w->step;
    return cell;
}

static inline uint32_t occupied(const uint32_t *words, uint64_t cell)
{
    return words[cell >> 5] >> (cell & 31) & 1;
}

static void insert_var(const sfl_bloom *filter, const uint64_t *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        walk w = start(keys[i]);
        for (unsigned j = 0; j < filter->hashes; j++) {
            const uint64_t cell = advance(&w, filter->cells);
            filter->words[cell >> 5] |= UINT32_C(1) << (cell & 31);
        }
    }
}

/* All probes of every key: leaving early costs more in mispredicted branches than it saves. */
static void contains_var(const sfl_bloom *filter, uint8_t *found, const uint64_t *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        walk w = start(keys[i]);
        uint32_t all = 1;
        for (unsigned j = 0; j < filter->hashes; j++) all &= occupied(filter->words, advance(&w, filter->cells));
        found[i] = (uint8_t)all;
    }
}

/* The first probe of all keys without a branch, then the next of those that are left, and so on: in a half-full filter
 * half of the absent ones go each time. */
static size_t block_members_var(const sfl_bloom *filter, int64_t *out, uint64_t first, size_t count)
{
    walk walks[BLOCK];
    uint32_t offsets[BLOCK];
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        walk w = start(first + i);
        const uint32_t hit = occupied(filter->words, advance(&w, filter->cells));
        walks[left] = w;
        offsets[left] = (uint32_t)i;
        left += hit;
    }
    for (unsigned j = 1; j < filter->hashes; j++) {
        const size_t before = left;
        left = 0;
        for (size_t i = 0; i < before; i++) {
            walk w = walks[i];
            const uint32_t hit = occupied(filter->words, advance(&w, filter->cells));
            walks[left] = w;
            offsets[left] = offsets[i];
            left += hit;
        }
    }
    for (size_t i = 0; i < left; i++) out[i] = (int64_t)(first + offsets[i]);
    return left;
}

static size_t members_var(const sfl_bloom *filter, int64_t *out, uint64_t first, size_t count)
{
    size_t total = 0;
    for (size_t at = 0; at < count; at += BLOCK) {
        const size_t block = count - at < BLOCK ? count - at : BLOCK;
        total += block_members_var(filter, out + total, first + at, block);
    }
    return total;
}

static int always(void)
{
    return 1;
}

const sfl_bloom_backend sfl_bloom_backends[] = {
#ifdef SFL_X86
    {{"avx512", sfl_murmur3_avx512_usable},
     sfl_bloom_avx512_insert_var,
     sfl_bloom_avx512_contains_var,
     sfl_bloom_avx512_members_var},
#endif
    {{"portable", always}, insert_var, contains_var, members_var},
    {{NULL, NULL}, NULL, NULL, NULL},
};
