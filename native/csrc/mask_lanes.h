/* The loops of every mask backend, told once. Beside mask_vec.h it takes
 *   BROADCAST(p)        a vector with the 16 bytes at p in every block
 *   sub_word(word)      the S-box on four bytes
 *   two_rounds(x, s)    the first two rounds of AES-256
 *   finish(x, s)        the others, of all lanes
 * Words are little-endian, and so is the machine. */
#ifndef SFL_MASK_LANES_H
#define SFL_MASK_LANES_H

#include "mask_vec.h"

enum {
    BATCH = LANES * BLOCKS, /* blocks in flight */
    CHUNK = 256,            /* blocks whose counters differ in the last byte only */
    ROWS = 64,             /* looked at together */
    LONG_ROW = 64 * CHUNK   /* bytes from which on a row is masked by itself */
};

/* FIPS 197, 5.2. Words hold their first byte lowest, as in memory. */
TARGET static void expand(sfl_schedule *schedule, const uint8_t key[32])
{
    uint32_t *w = schedule->word, rcon = 1;
    memcpy(w, key, 32);
    for (int i = 8; i < 60; i++) {
        uint32_t t = i % 4 == 0 ? sub_word(w[i - 1]) : w[i - 1];
        if (i % 8 == 0) {
            t = (t >> 8 | t << 24) ^ rcon;
            rcon <<= 1;
        }
        w[i] = w[i - 8] ^ t;
    }
}

INLINE void spread(vec_schedule *s, const sfl_schedule *schedule)
{
    EACH_ROUND(r, 0, 15) s->round[r] = BROADCAST(schedule->word + 4 * r);
}

/* ---- Pads meet words ---- */

#define MASKED(name, wide, wide32)                                                                                    \
    INLINE wide name(wide x, wide pad, sfl_op op)                                                                     \
    {                                                                                                                 \
        switch (op) {                                                                                                 \
        case SFL_ADD32: return (wide)((wide32)x + (wide32)pad);                                                       \
        case SFL_SUB32: return (wide)((wide32)x - (wide32)pad);                                                       \
        case SFL_ADD64: return x + pad;                                                                               \
        default: return x - pad;                                                                                      \
        }                                                                                                             \
    }
MASKED(masked, vec, vec32)
MASKED(masked_block, block, block32)
MASKED(masked_half, half, half32)

INLINE void mask_vec(uint8_t *out, vec pad, sfl_op op)
{
    *(vec_at *)out = masked(*(vec_at *)out, pad, op);
}

INLINE void mask_block(uint8_t *out, block pad, sfl_op op)
{
    *(block_at *)out = masked_block(*(block_at *)out, pad, op);
}

/* The first bytes < 16 of a block, which are a half, a quarter or both; nothing beyond them is read or written. */
INLINE void mask_part(uint8_t *out, size_t bytes, const block *pad, sfl_op op)
{
    if (bytes & 8) {
        half x, p = {(*pad)[0]};
        memcpy(&x, out, sizeof x);
        x = masked_half(x, p, op);
        memcpy(out, &x, sizeof x);
    }
    if (bytes & 4) {
        uint32_t x, p = (uint32_t)(*pad)[bytes / 8];
        memcpy(&x, out + (bytes & 8), sizeof x);
        x = op == SFL_ADD32 ? x + p : x - p;
        memcpy(out + (bytes & 8), &x, sizeof x);
    }
}

/* ---- One run of consecutive counters ----
 *
 * The last byte of a counter meets four bytes of the state in the first round and, through them, every byte in the
 * second, but by an exclusive or with what the other bytes make. So what it makes of the state after two rounds is
 * worked out once for its 256 values and serves every chunk whose counters agree in bytes 0, 5 and 10, which stand in
 * the same column (Park and Lee, FACE, TCHES 2018). Addresses depend on counters only. */

typedef struct {
    vec_schedule key;
    uint8_t step[16 * (CHUNK + BATCH)]; /* by last byte */
} run_state;

#define LAST_BYTE (UINT64_C(1) << 56)
#define INDEX(i) ((uint64_t)__builtin_bswap16((uint16_t)(i)) << 48)

/* A vector whose block i has last eight bytes first + i * step. */
INLINE vec ends(uint64_t first, uint64_t step)
{
    vec x = {0};
    for (size_t i = 0; i < BLOCKS; i++) x[2 * i + 1] = first + i * step;
    return x;
}

INLINE vec counter(uint64_t high, uint64_t low)
{
    const uint64_t bytes[2] = {__builtin_bswap64(high), __builtin_bswap64(low)};
    return BROADCAST(bytes);
}

/* The steps of last bytes from `at` on, as many as `blocks` blocks take. */
INLINE void find_steps(run_state *s, vec first, size_t at, size_t blocks)
{
    const int all = blocks > CHUNK - at;
    const size_t from = all ? 0 : at, end = all ? CHUNK : at + blocks;
    const vec base = two_rounds(first, &s->key), next = ends(LAST_BYTE * BLOCKS, 0);
    vec x = first ^ ends(LAST_BYTE * from, LAST_BYTE);
    for (size_t b = from; b < end; b += BLOCKS, x += next) {
        *(vec_at *)(s->step + 16 * b) = two_rounds(x, &s->key) ^ base;
    }
}

/* Asks for what will be masked two chunks from now, across the ends of pages too, where the processor stops by itself. */
INLINE void look_ahead(const uint8_t *out)
{
    _Pragma("GCC unroll 8") for (size_t i = 0; i < 16 * BATCH; i += 64)
    {
        __builtin_prefetch((const void *)((uintptr_t)out + 32 * CHUNK + i), 1);
    }
}

INLINE void mask_batch(uint8_t *out, vec base, const uint8_t *step, const vec_schedule *key, sfl_op op)
{
    vec pad[LANES];
    EACH_LANE(j) pad[j] = base ^ *(const vec_at *)(step + sizeof(vec) * j);
    finish(pad, key);
    EACH_LANE(j) mask_vec(out + sizeof(vec) * j, pad[j], op);
}

INLINE void mask_chunk(uint8_t *out, size_t bytes, vec base, const uint8_t *step, const vec_schedule *key, sfl_op op)
{
    uint8_t last[16 * BATCH];
    for (; bytes >= sizeof last; bytes -= sizeof last, out += sizeof last, step += sizeof last) {
        look_ahead(out);
        mask_batch(out, base, step, key, op);
    }
    if (bytes == 0) return;
    memcpy(last, out, bytes);
    mask_batch(last, base, step, key, op);
    memcpy(out, last, bytes);
}

/* Pads AES(high || low), AES(high || low + 1), ...; of all the counters, only the two last bytes may differ, unless
 * bytes 0, 5 and 10 are zero throughout. */
INLINE void mask_counters(uint8_t *out, size_t bytes, uint64_t high, uint64_t low, const sfl_schedule *key, sfl_op op)
{
    run_state s;
    size_t at = low % CHUNK;
    low -= at;
    spread(&s.key, key);
    find_steps(&s, counter(high, low), at, (bytes + 15) / 16);
    while (bytes > 0) {
        const size_t room = 16 * (CHUNK - at), part = bytes < room ? bytes : room;
        mask_chunk(out, part, two_rounds(counter(high, low), &s.key), s.step + 16 * at, &s.key, op);
        out += part;
        bytes -= part;
        low += CHUNK;
        at = 0;
    }
}

/* ---- Rows: many at a time, so that short ones fill the pipeline too ---- */

typedef struct {
    size_t rows, padded; /* up to whole batches; rows beyond `rows` repeat the first, and nothing is written there */
    uint8_t *row[ROWS];
    block tag[ROWS]; /* its last two bytes are zero: they are for the index of a block */
} row_group;

/* Row k + j of the job, or row k where there is none. */
INLINE size_t row_number(const sfl_rows *job, size_t k, size_t j)
{
    const size_t at = k + j < job->count ? k + j : k;
    return job->index ? (size_t)job->index[at] : at;
}

INLINE void load_tags(row_group *g, const sfl_rows *job, size_t k)
{
    const block kept = {UINT64_MAX, UINT64_MAX >> 16};
    for (size_t j = 0; j < g->padded; j++) g->tag[j] = *(const block_at *)(job->tags + 16 * row_number(job, k, j)) & kept;
}

INLINE void find_tags(row_group *g, const sfl_rows *job, size_t k, const sfl_schedule *schedule)
{
    block low[ROWS], high[ROWS];
    vec_schedule key;
    spread(&key, schedule);
    for (size_t j = 0; j < g->padded; j++) {
        const uint8_t *digest = job->digests + 32 * row_number(job, k, j);
        low[j] = *(const block_at *)digest;
        high[j] = *(const block_at *)(digest + 16);
    }
    for (size_t r = 0; r < g->padded; r += BATCH) {
        vec x[LANES];
        EACH_LANE(j) x[j] = two_rounds(*(vec_at *)(low + r + BLOCKS * j), &key);
        finish(x, &key);
        EACH_LANE(j) x[j] = two_rounds(x[j] ^ *(vec_at *)(high + r + BLOCKS * j), &key);
        finish(x, &key);
        EACH_LANE(j) *(vec_at *)(g->tag + r + BLOCKS * j) = x[j] & ~ends(INDEX(0xffff), 0);
    }
}

/* Rows k, k + 1, ... of the job, with their tags. */
TARGET static void find_group(row_group *g, const sfl_rows *job, size_t k, const sfl_schedule *tag)
{
    g->rows = job->count - k < ROWS ? job->count - k : ROWS;
    g->padded = (g->rows + BATCH - 1) / BATCH * BATCH;
    for (size_t j = 0; j < g->padded; j++) g->row[j] = job->out + row_number(job, k, j) * job->bytes;
    if (job->tags) load_tags(g, job, k);
    else find_tags(g, job, k, tag);
}

/* BLOCKS blocks of every row, from byte `done` on: a vector lies along a row. */
INLINE void mask_along(const row_group *g, size_t done, const vec_schedule *key, sfl_op op)
{
    const vec index = ends(INDEX(done / 16), LAST_BYTE);
    vec pad[LANES], nowhere = {0};
    for (size_t r = 0; r < g->rows; r += LANES) {
        EACH_LANE(j) pad[j] = two_rounds(BROADCAST(g->tag + r + j) ^ index, key);
        finish(pad, key);
        EACH_LANE(j) mask_vec(r + j < g->rows ? g->row[r + j] + done : (uint8_t *)&nowhere, pad[j], op);
    }
}

INLINE block block_of(vec x, size_t i)
{
    return (block){x[2 * i], x[2 * i + 1]};
}

/* One block of every row: a vector lies across rows. */
INLINE void mask_across(const row_group *g, size_t done, const vec_schedule *key, sfl_op op)
{
    const vec index = ends(INDEX(done / 16), 0);
    vec pad[LANES];
    block nowhere = {0};
    for (size_t r = 0; r < g->rows; r += BATCH) {
        EACH_LANE(j) pad[j] = two_rounds(*(const vec_at *)(g->tag + r + BLOCKS * j) ^ index, key);
        finish(pad, key);
        EACH_LANE(j)
        _Pragma("GCC unroll 4") for (size_t i = 0; i < BLOCKS; i++)
        {
            const size_t row = r + BLOCKS * j + i;
            mask_block(row < g->rows ? g->row[row] + done : (uint8_t *)&nowhere, block_of(pad[j], i), op);
        }
    }
}

/* The same for what is left of a row after its whole blocks. */
INLINE void mask_ends(const row_group *g, size_t done, size_t bytes, const vec_schedule *key, sfl_op op)
{
    const vec index = ends(INDEX(done / 16), 0);
    vec pad[LANES];
    block one[BATCH];
    for (size_t r = 0; r < g->rows; r += BATCH) {
        const size_t rows = g->rows - r < BATCH ? g->rows - r : BATCH;
        EACH_LANE(j) pad[j] = two_rounds(*(const vec_at *)(g->tag + r + BLOCKS * j) ^ index, key);
        finish(pad, key);
        EACH_LANE(j) *(vec_at *)(one + BLOCKS * j) = pad[j];
        for (size_t j = 0; j < rows; j++) mask_part(g->row[r + j] + done, bytes, one + j, op);
    }
}

INLINE void mask_together(const sfl_rows *job, sfl_op op, const sfl_schedule *tag, const sfl_schedule *stream)
{
    const size_t whole = job->bytes - job->bytes % sizeof(vec), blocks = job->bytes - job->bytes % 16;
    vec_schedule key;
    row_group g;
    spread(&key, stream);
    for (size_t k = 0; k < job->count; k += ROWS) {
        find_group(&g, job, k, tag);
        for (size_t done = 0; done < whole; done += sizeof(vec)) mask_along(&g, done, &key, op);
        for (size_t done = whole; done < blocks; done += 16) mask_across(&g, done, &key, op);
        if (blocks < job->bytes) mask_ends(&g, blocks, job->bytes - blocks, &key, op);
    }
}

/* ---- The backend: one copy of the loops for each operation ---- */

#define FOR_EACH_OP(loop)                                                                                             \
    switch (op) {                                                                                                     \
    case SFL_ADD32: loop(SFL_ADD32); break;                                                                           \
    case SFL_SUB32: loop(SFL_SUB32); break;                                                                           \
    case SFL_ADD64: loop(SFL_ADD64); break;                                                                           \
    case SFL_SUB64: loop(SFL_SUB64); break;                                                                           \
    }

TARGET static void run_from(uint8_t *out, size_t bytes, uint64_t high, uint64_t low, sfl_op op, const sfl_schedule *key)
{
#define RUN(fixed) mask_counters(out, bytes, high, low, key, fixed)
    FOR_EACH_OP(RUN)
#undef RUN
}

TARGET static void mask_run(uint8_t *out, size_t bytes, uint64_t first, sfl_op op, const sfl_schedule *key)
{
    run_from(out, bytes, 0, first, op, key);
}

TARGET static void mask_short_rows(const sfl_rows *job, sfl_op op, const sfl_schedule *tag, const sfl_schedule *stream)
{
#define ROWS(fixed) mask_together(job, fixed, tag, stream)
    FOR_EACH_OP(ROWS)
#undef ROWS
}

TARGET static void mask_long_rows(const sfl_rows *job, sfl_op op, const sfl_schedule *tag, const sfl_schedule *stream)
{
    row_group g;
    for (size_t k = 0; k < job->count; k += ROWS) {
        find_group(&g, job, k, tag);
        for (size_t j = 0; j < g.rows; j++) {
            const block start = g.tag[j];
            run_from(g.row[j], job->bytes, __builtin_bswap64(start[0]), __builtin_bswap64(start[1]), op, stream);
        }
    }
}

TARGET static void mask_rows(const sfl_rows *job, sfl_op op, const sfl_schedule *tag, const sfl_schedule *stream)
{
    (job->bytes < LONG_ROW ? mask_short_rows : mask_long_rows)(job, op, tag, stream);
}

#define KERNELS {.expand = expand, .mask_run = mask_run, .mask_rows = mask_rows, .forget = forget}

#endif
