/* Rows of tables, and DIN's attention over them: one sample at a time, all of it in the cache. */
#ifndef SFL_NN_ATTENTION_H
#define SFL_NN_ATTENTION_H

#include "nn_layers.h"

INLINE size_t row_at(const sfl_nn_indices *index, size_t i, size_t count)
{
    const int64_t row = index->wide ? ((const int64_t *)index->items)[i] : ((const int32_t *)index->items)[i];
    return row >= 0 && (uint64_t)row < count ? (size_t)row : count - 1;
}

static void copy_row(float *out, const sfl_nn_table *t, size_t row)
{
    if (!t->scales) {
        memcpy(out, (const float *)t->rows + row * t->width, 4 * t->width);
        return;
    }
    const int8_t *x = (const int8_t *)t->rows + row * t->width;
    for (size_t i = 0; i < t->width; i++) out[i] = t->scales[row] * (float)x[i];
}

static void lookup(const sfl_nn_lookup *l)
{
    for (size_t i = 0; i < l->count; i++)
        copy_row(l->out + i * l->table.width, &l->table, row_at(&l->index, i, l->table.count));
}

/* The work space of one sample. Whatever is wide is padded to whole vectors. */
typedef struct {
    size_t wide, h1, h2; /* the padded widths of a key and of the hidden layers */
    ptrdiff_t taps[2];   /* of k and of q*k in a row of pairs */
    float *query, *pairs, *first, *second, *key_mask, *score, *shared;
} workspace;

static workspace carve(const sfl_nn_attention *a)
{
    workspace s = {.wide = sfl_nn_round_up(a->width, WIDTH),
                   .h1 = sfl_nn_round_up(a->hidden1, WIDTH),
                   .h2 = sfl_nn_round_up(a->hidden2, WIDTH)};
    const size_t scores = sfl_nn_round_up(a->history, WIDTH);
    s.taps[1] = (ptrdiff_t)s.wide;
    s.query = a->scratch;
    s.pairs = s.query + s.wide;
    s.first = s.pairs + a->history * 2 * s.wide + 2 * WIDTH;
    s.second = s.first + a->history * s.h1;
    s.key_mask = s.second + a->history * s.h2;
    s.score = s.key_mask + scores;
    s.shared = s.score + scores;
    return s;
}

/* A row, with whatever follows it in the table up to a whole vector: there is room for that, and it is written over. */
INLINE void copy_row_wide(float *out, const sfl_nn_table *t, size_t row)
{
    const float *x = (const float *)t->rows + row * t->width;
    if (t->scales || (row + 1) * t->width + WIDTH > t->count * t->width) copy_row(out, t, row);
    else {
        for (size_t i = 0; i < t->width; i += WIDTH) store(out + i, load(x + i));
    }
}

/* Rows lie anywhere in a large table: those of the next sample are on their way while this one is computed. They are
 * asked for in `FETCHES` parts, as a core waits for a few dozen lines at most. */
enum { FETCHES = 4 };

static void fetch(const sfl_nn_attention *a, size_t sample, size_t part)
{
    if (sample >= a->samples) return;
    const size_t first = sample * a->history;
    for (size_t at = first + part * a->history / FETCHES; at < first + (part + 1) * a->history / FETCHES; at++) {
        if (a->skip && a->mask[at] == 0) continue;
        for (size_t t = 0; t < a->tables; t++) {
            const sfl_nn_table *table = &a->table[t];
            const size_t size = table->scales ? 1 : 4, row = row_at(&a->index[t], at, table->count);
            const char *from = (const char *)table->rows + row * table->width * size;
            for (size_t byte = 0; byte < table->width * size; byte += 64) __builtin_prefetch(from + byte);
            __builtin_prefetch(from + table->width * size - 1);
        }
    }
}

/* Puts the history that counts in front of the work space; returns its length. */
static size_t gather(const sfl_nn_attention *a, const workspace *s, size_t sample, int skip)
{
    size_t kept = 0;
    for (size_t l = 0; l < a->history; l++) {
        const size_t at = sample * a->history + l;
        if (skip && a->mask[at] == 0) continue;
        float *k = s->pairs + kept * 2 * s->wide, *column = k;
        s->key_mask[kept++] = a->mask[at];
        for (size_t t = 0; t < a->tables; t++) {
            copy_row_wide(column, &a->table[t], row_at(&a->index[t], at, a->table[t].count));
            column += a->table[t].width;
        }
        for (size_t c = 0; c < s->wide; c += WIDTH) store(k + s->wide + c, load(s->query + c) * load(k + c));
    }
    return kept;
}

static void sigmoid_layer(float *x, size_t rows, size_t row)
{
    for (size_t i = 0; i < rows * row; i += WIDTH) store(x + i, sigmoid_of(load(x + i)));
}

/* out (rows, columns) = sigmoid(A B + bias), columns in whole vectors. */
static void hidden(sfl_nn_gemm g, size_t rows, const float *b, const float *bias, float *out, size_t columns)
{
    g.lines = 1;
    g.rows = rows;
    g.columns = columns;
    g.b = b;
    g.bias = bias;
    g.c = out;
    g.c_row = (ptrdiff_t)columns;
    g.c_column = SFL_WIDTH;
    g.low = -FLT_MAX;
    g.high = FLT_MAX;
    gemm(&g);
    sigmoid_layer(out, rows, columns);
}

/* What the queries of some samples add to the first hidden layer. For all items of a sample it is the same: a bias. */
static void share_queries(const sfl_nn_attention *a, const workspace *s, size_t first)
{
    const size_t count = a->samples - first < SFL_NN_QUERIES ? a->samples - first : SFL_NN_QUERIES;
    const sfl_nn_gemm g = {.lines = 1,
                           .rows = count,
                           .columns = s->h1,
                           .a = a->query + first * a->width,
                           .a_row = (ptrdiff_t)a->width,
                           .taps = &origin,
                           .tap_count = 1,
                           .depth = a->width,
                           .b = a->wq,
                           .bias = a->b1,
                           .c = s->shared,
                           .c_row = (ptrdiff_t)s->h1,
                           .c_column = SFL_WIDTH,
                           .low = -FLT_MAX,
                           .high = FLT_MAX};
    gemm(&g);
}

/* The hidden layers of the kept items. */
static void score_items(const sfl_nn_attention *a, const workspace *s, size_t sample, size_t kept)
{
    const sfl_nn_gemm pairs = {
        .a = s->pairs, .a_row = (ptrdiff_t)(2 * s->wide), .taps = s->taps, .tap_count = 2, .depth = a->width};
    const sfl_nn_gemm first = {
        .a = s->first, .a_row = (ptrdiff_t)s->h1, .taps = &origin, .tap_count = 1, .depth = a->hidden1};
    fetch(a, sample + 1, 1);
    hidden(pairs, kept, a->wk, s->shared + sample % SFL_NN_QUERIES * s->h1, s->first, s->h1);
    fetch(a, sample + 1, 2);
    hidden(first, kept, a->w2, a->b2, s->second, s->h2);
    fetch(a, sample + 1, 3);
}

/* Scores of WIDTH items from `first` on; beyond the last one it is read again. */
INLINE vec scores(const sfl_nn_attention *a, const workspace *s, size_t first, size_t kept)
{
    vec sum[SFL_WIDTH];
    UNROLL
    for (size_t i = 0; i < WIDTH; i++) {
        const float *x = s->second + (first + i < kept ? first + i : kept - 1) * s->h2;
        sum[i] = load(x) * load(a->w3);
        for (size_t c = WIDTH; c < s->h2; c += WIDTH) sum[i] += load(x + c) * load(a->w3 + c);
    }
    return (sums_of(sum) + a->b3) * a->scale;
}

/* The shares of the kept items: softmax of their scores; an item whose mask is 0 has none. */
static void share(const sfl_nn_attention *a, const workspace *s, size_t kept)
{
    for (size_t l = 0; l < kept; l += WIDTH) {
        const vec m = load(s->key_mask + l), score = scores(a, s, l, kept) * m + (m - 1.0f) * 1e9f;
        store(s->score + l, choose(m == 0, all(-FLT_MAX), score));
    }
    const vec total = all(exponentials(s->score, s->score, kept));
    for (size_t l = 0; l < kept; l += WIDTH)
        store(s->score + l, choose(load(s->key_mask + l) == 0, all(0), load(s->score + l) / total));
}

enum { CHAINS = 4 }; /* sums side by side, as additions take four cycles */

/* out = sum of weight[l] * key l. */
static void weighted_sum(const sfl_nn_attention *a, const workspace *s, const float *weight, size_t kept, float *out)
{
    const size_t row = 2 * s->wide;
    for (size_t c = 0; c < a->width; c += WIDTH) {
        const float *key = s->pairs + c;
        vec sum[CHAINS] = {{0}};
        size_t l = 0;
        for (; l + CHAINS <= kept; l += CHAINS) {
            UNROLL
            for (size_t i = 0; i < CHAINS; i++) sum[i] += weight[l + i] * load(key + (l + i) * row);
        }
        for (; l < kept; l++) sum[0] += weight[l] * load(key + l * row);
        store_up_to(out + c, (sum[0] + sum[1]) + (sum[2] + sum[3]), a->width - c);
    }
}

static int any_kept(const sfl_nn_attention *a, size_t sample)
{
    for (size_t l = 0; l < a->history; l++) {
        if (a->mask[sample * a->history + l] != 0) return 1;
    }
    return 0;
}

/* How many items share the attention; their shares are set. Where nothing counts it is all of them or none. */
static size_t attend(const sfl_nn_attention *a, const workspace *s, size_t sample)
{
    if (any_kept(a, sample)) {
        const size_t kept = gather(a, s, sample, a->skip);
        score_items(a, s, sample, kept);
        share(a, s, kept);
        return kept;
    }
    const size_t kept = a->mean_of_empty ? gather(a, s, sample, 0) : 0;
    for (size_t l = 0; l < kept; l++) s->score[l] = 1.0f / (float)kept;
    return kept;
}

static void attention(const sfl_nn_attention *a)
{
    const workspace s = carve(a);
    memset(s.query, 0, 4 * s.wide);
    for (size_t i = 0; i < a->samples; i++) {
        memcpy(s.query, a->query + i * a->width, 4 * a->width);
        if (i % SFL_NN_QUERIES == 0) share_queries(a, &s, i);
        fetch(a, i + 1, 0);
        const size_t kept = attend(a, &s, i);
        weighted_sum(a, &s, s.score, kept, a->pooled + i * a->width);
        if (a->total) weighted_sum(a, &s, s.key_mask, kept, a->total + i * a->width);
    }
}

#endif
