/* Many keys over one vector: a tile of it stays in the cache while all keys pass. */
#include "mask.h"

const sfl_mask_backend sfl_mask_backends[] = {
#ifdef SFL_VAES
    {{"vaes512", sfl_vaes512_usable}, &sfl_vaes512},
    {{"vaes256", sfl_vaes256_usable}, &sfl_vaes256},
#endif
#ifdef SFL_X86
    {{"aesni", sfl_aesni_usable}, &sfl_aesni},
#endif
#ifdef SFL_ARMV8
    {{"armv8", sfl_armv8_usable}, &sfl_armv8},
#endif
    {{NULL, NULL}, NULL},
};

enum {
    TILE = 1 << 16,  /* bytes */
    GRAIN = 1 << 12, /* bytes that go to one thread */
    KEYS = 32        /* whose schedules stand on the stack */
};

/* Keys k.. of a job, expanded. */
typedef struct {
    sfl_schedule schedule[2 * KEYS];
    size_t count;
} key_group;

static void expand_group(key_group *g, const sfl_mask_kernels *kernels, const uint8_t *keys, size_t count)
{
    g->count = count;
    for (size_t i = 0; i < count; i++) kernels->expand(g->schedule + i, keys + 32 * i);
}

/* Schedules, and what a backend left below: its frames, of 8 KiB at most, lay where this one does. */
__attribute__((noinline)) static void wipe_stack(key_group *g, size_t used)
{
    uint8_t below[10 << 10];
    sfl_wipe(below, sizeof below);
    sfl_wipe(g->schedule, used * sizeof *g->schedule);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static sfl_op operation(size_t word, int subtract)
{
    return word == 4 ? (subtract ? SFL_SUB32 : SFL_ADD32) : (subtract ? SFL_SUB64 : SFL_ADD64);
}

/* ---- Dense ---- */

typedef struct {
    const sfl_mask_kernels *kernels;
    const sfl_streams *streams;
} dense_job;

static void mask_tile(const dense_job *job, size_t from, size_t end, size_t k, const key_group *g)
{
    const sfl_streams *s = job->streams;
    for (size_t i = 0; i < g->count; i++) {
        const sfl_op op = operation(s->word, s->subtract[k + i]);
        job->kernels->mask_run(s->out + from, end - from, s->first + from / 16, op, g->schedule + i);
    }
}

static void dense_share(const void *given, unsigned number, unsigned of)
{
    const dense_job *job = given;
    const sfl_streams *s = job->streams;
    const size_t grains = (s->bytes + GRAIN - 1) / GRAIN, begin = grains * number / of * GRAIN;
    const size_t end = least(s->bytes, grains * (number + 1) / of * GRAIN);
    const size_t tile = s->count == 1 ? s->bytes : TILE; /* a single key comes by once */
    key_group g;
    for (size_t k = 0; k < s->count; k += KEYS) {
        expand_group(&g, job->kernels, s->keys + 32 * k, least(KEYS, s->count - k));
        for (size_t from = begin; from < end; from += tile) mask_tile(job, from, least(from + tile, end), k, &g);
    }
    job->kernels->forget();
    wipe_stack(&g, least(KEYS, s->count));
}

void sfl_add_streams(const sfl_mask_backend *backend, const sfl_streams *streams, unsigned threads)
{
    const dense_job job = {backend->kernels, streams};
    sfl_share(dense_share, &job, threads);
}

/* ---- By rows ---- */

typedef struct {
    const sfl_mask_kernels *kernels;
    const sfl_row_streams *streams;
} rows_job;

/* How many of the ascending numbers are below `row`. */
static size_t count_below(const int64_t *index, size_t count, size_t row)
{
    size_t below = 0;
    while (count > 0) {
        const size_t half = (count + 1) / 2;
        below += (size_t)index[below + half - 1] < row ? half : 0;
        count -= half;
    }
    return below;
}

/* Rows from..end of key k. */
static sfl_rows tile_rows(const sfl_row_streams *s, size_t from, size_t end, size_t k)
{
    sfl_rows rows = {.out = s->out, .bytes = s->bytes, .digests = s->digests, .tags = s->tags, .count = end - from};
    if (s->ends) {
        const size_t first = k ? (size_t)s->ends[k - 1] : 0, all = (size_t)s->ends[k] - first;
        const size_t skipped = count_below(s->index + first, all, from);
        rows.index = s->index + first + skipped;
        rows.count = count_below(rows.index, all - skipped, end);
        return rows;
    }
    rows.out += from * s->bytes;
    if (s->digests) rows.digests += 32 * from;
    else rows.tags += 16 * from;
    return rows;
}

static void mask_row_tile(const rows_job *job, size_t from, size_t end, size_t k, const key_group *g)
{
    const sfl_row_streams *s = job->streams;
    const size_t each = s->tags ? 1 : 2;
    for (size_t i = 0; i < g->count / each; i++) {
        const sfl_schedule *key = g->schedule + each * i;
        const sfl_rows rows = tile_rows(s, from, end, k + i);
        job->kernels->mask_rows(&rows, operation(s->word, s->subtract[k + i]), s->tags ? NULL : key, key + each - 1);
    }
}

static void rows_share(const void *given, unsigned number, unsigned of)
{
    const rows_job *job = given;
    const sfl_row_streams *s = job->streams;
    const size_t tile = TILE / (s->bytes < TILE ? s->bytes + 1 : TILE), tiles = (s->rows + tile - 1) / tile;
    const size_t begin = tiles * number / of, end = tiles * (number + 1) / of, each = s->tags ? 1 : 2;
    key_group g;
    for (size_t k = 0; k < s->count; k += KEYS) {
        expand_group(&g, job->kernels, s->keys + 32 * each * k, each * least(KEYS, s->count - k));
        for (size_t t = begin; t < end; t++) mask_row_tile(job, t * tile, least(s->rows, (t + 1) * tile), k, &g);
    }
    job->kernels->forget();
    wipe_stack(&g, each * least(KEYS, s->count));
}

void sfl_add_row_streams(const sfl_mask_backend *backend, const sfl_row_streams *streams, unsigned threads)
{
    const rows_job job = {backend->kernels, streams};
    sfl_share(rows_share, &job, threads);
}
