/* Softmax, curves, 8-bit weights, rows of tables, and DIN's attention beside plain loops in double precision. */
#include "nn_check.h"

enum { SAMPLES = 5, HISTORY = 9, ITEM = 7, CATEGORY = 6, WIDE = ITEM + CATEGORY, FIRST = 11, SECOND = 19, ROWS = 12 };

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static int check_softmax(const sfl_nn_backend *b)
{
    enum { N = 3, M = 21 };
    float *x = randoms(N * M), out[N * M];
    double worst = 0;
    b->softmax(&(sfl_nn_softmax){N, M, x, out});
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < M; j++) sum += exp(x[i * M + j]);
        for (int j = 0; j < M; j++) worst = fmax(worst, fabs(exp(x[i * M + j]) / sum - out[i * M + j]));
    }
    return near("softmax", b, worst, 1e-6);
}

static int check_curves(const sfl_nn_backend *b)
{
    enum { N = 4, M = 23 };
    float *x = randoms(N * M), *alpha = randoms(M), *out = calloc(N * M, 4);
    double worst = 0;
    for (int kind = SFL_NN_SIGMOID; kind <= SFL_NN_PRELU; kind++) {
        b->activate(&(sfl_nn_activate){N, M, x, alpha, out, -0.75f, 0.75f, (sfl_nn_activation)kind});
        for (int i = 0; i < N * M; i++) {
            const double v = fmin(fmax(x[i], -0.75), 0.75), bent = v > 0 ? v : v * alpha[i % M];
            const double wanted = kind == SFL_NN_SIGMOID ? sigmoid(v) : kind == SFL_NN_TANH ? tanh(v) : bent;
            worst = fmax(worst, fabs(wanted - out[i]));
        }
    }
    return near("curves", b, worst, 1e-6);
}

/* Weights in panels of bytes, with a scale for each column. */
static int check_int8(const sfl_nn_backend *b)
{
    enum { N = 5, DEPTH = 17, M = 37 };
    const size_t panel = 2 * b->width, wide = sfl_nn_round_up(M, panel);
    int8_t *weights = calloc(DEPTH, wide);
    float *x = randoms(N * DEPTH), *scales = padded(randoms(M), M, panel), *bias = padded(randoms(M), M, panel);
    float out[N * M], *scratch = calloc(DEPTH * panel, 4);
    double worst = 0;
    for (size_t i = 0; i < DEPTH * wide; i++) weights[i] = (int8_t)(127 * random_float());
    b->linear(&(sfl_nn_linear){N, DEPTH, M, x, weights, scales, bias, NULL, out, scratch, -1e30f, 1e30f, SFL_NN_IDENTITY});
    for (size_t i = 0; i < N * M; i++) {
        const size_t j = i % M;
        double sum = bias[j];
        for (size_t k = 0; k < DEPTH; k++)
            sum += (double)x[i / M * DEPTH + k] * scales[j] * weights[j / panel * panel * DEPTH + k * panel + j % panel];
        worst = fmax(worst, fabs(sum - out[i]));
    }
    return near("8-bit weights", b, worst, 1e-3);
}

/* Rows as floats and as bytes; the last row for an index that is none. */
static int check_lookup(const sfl_nn_backend *b)
{
    static const int64_t index[4] = {2, 99, 0, -1}, places[4] = {2, ROWS - 1, 0, ROWS - 1};
    static const int64_t sorted[4] = {-3, 0, 5, 9}, keys[4] = {9, 1, -3, 5};
    int8_t bytes[ROWS * ITEM];
    int64_t found[4];
    float *rows = randoms(ROWS * ITEM), *scales = randoms(ROWS), out[4 * ITEM], here[4];
    double worst = 0;
    for (int i = 0; i < ROWS * ITEM; i++) bytes[i] = (int8_t)(127 * random_float());
    for (int narrow = 0; narrow < 2; narrow++) {
        const sfl_nn_table table = {narrow ? (void *)bytes : rows, narrow ? scales : NULL, ROWS, ITEM};
        b->lookup(&(sfl_nn_lookup){table, {index, 1}, 4, out});
        for (int i = 0; i < 4 * ITEM; i++) {
            const size_t place = (size_t)places[i / ITEM] * ITEM + (size_t)i % ITEM;
            const double wanted = narrow ? (double)scales[places[i / ITEM]] * bytes[place] : rows[place];
            worst = fmax(worst, fabs(wanted - out[i]));
        }
    }
    sfl_nn_locate_keys(&(sfl_nn_locate){sorted, keys, 4, 4, found, here});
    worst += (found[0] != 3) + (found[1] != 4) + (found[2] != 0) + (found[3] != 2) + (here[1] != 0) + (here[3] != 1);
    return near("rows", b, worst, 1e-4);
}

/* Weights of the attention, not packed. */
typedef struct {
    float *wq, *wk, *b1, *w2, *b2, *w3;
} network;

static double score_of(const network *n, const float *query, const float *key)
{
    double first[FIRST], score = 0;
    for (size_t j = 0; j < FIRST; j++) {
        double sum = n->b1[j];
        for (size_t k = 0; k < WIDE; k++) {
            sum += (double)query[k] * n->wq[k * FIRST + j] + (double)key[k] * n->wk[k * FIRST + j] +
                   (double)query[k] * key[k] * n->wk[(WIDE + k) * FIRST + j];
        }
        first[j] = sigmoid(sum);
    }
    for (size_t j = 0; j < SECOND; j++) {
        double sum = n->b2[j];
        for (size_t k = 0; k < FIRST; k++) sum += first[k] * n->w2[k * SECOND + j];
        score += sigmoid(sum) * n->w3[j];
    }
    return (score + 0.5) * 0.25;
}

/* The largest difference of one sample. */
static double sample_off(const network *n, const float *query, const float *mask, float keys[HISTORY][WIDE],
                         const float *pooled, const float *total)
{
    double share[HISTORY], all = 0, worst = 0;
    for (size_t l = 0; l < HISTORY; l++) {
        share[l] = mask[l] != 0 ? exp(score_of(n, query, keys[l])) : 0;
        all += share[l];
    }
    for (size_t c = 0; c < WIDE; c++) {
        double mean = 0, sum = 0;
        for (size_t l = 0; l < HISTORY; l++) {
            mean += all > 0 ? share[l] / all * keys[l][c] : 0;
            sum += (double)mask[l] * keys[l][c];
        }
        worst = fmax(worst, fmax(fabs(mean - pooled[c]), fabs(sum - total[c])));
    }
    return worst;
}

static int check_attention(const sfl_nn_backend *b)
{
    const size_t panel = 2 * b->width;
    const network n = {randoms(WIDE * FIRST), randoms(2 * WIDE * FIRST), randoms(FIRST), randoms(FIRST * SECOND),
                       randoms(SECOND), randoms(SECOND)};
    float *items = randoms(ROWS * ITEM), *categories = randoms(ROWS * CATEGORY), *query = randoms(SAMPLES * WIDE);
    float mask[SAMPLES * HISTORY], pooled[SAMPLES * WIDE], total[SAMPLES * WIDE], keys[SAMPLES][HISTORY][WIDE];
    int32_t item[SAMPLES * HISTORY], category[SAMPLES * HISTORY];
    for (size_t i = 0; i < SAMPLES * HISTORY; i++) {
        mask[i] = i >= HISTORY && random_float() > -0.3f; /* the first sample has no history */
        item[i] = (int32_t)(i * 5 % ROWS);
        category[i] = (int32_t)(i * 7 % ROWS);
        float *key = keys[i / HISTORY][i % HISTORY];
        memcpy(key, items + (size_t)item[i] * ITEM, 4 * ITEM);
        memcpy(key + ITEM, categories + (size_t)category[i] * CATEGORY, 4 * CATEGORY);
    }
    sfl_nn_attention a = {.samples = SAMPLES, .history = HISTORY, .width = WIDE, .hidden1 = FIRST, .hidden2 = SECOND};
    a.tables = 2;
    a.table[0] = (sfl_nn_table){items, NULL, ROWS, ITEM};
    a.table[1] = (sfl_nn_table){categories, NULL, ROWS, CATEGORY};
    a.index[0] = (sfl_nn_indices){item, 0};
    a.index[1] = (sfl_nn_indices){category, 0};
    a.query = query;
    a.mask = mask;
    a.wq = packed(n.wq, WIDE, FIRST, panel);
    a.wk = packed(n.wk, 2 * WIDE, FIRST, panel);
    a.w2 = packed(n.w2, FIRST, SECOND, panel);
    a.b1 = padded(n.b1, FIRST, panel);
    a.b2 = padded(n.b2, SECOND, panel);
    a.w3 = padded(n.w3, SECOND, panel);
    a.b3 = 0.5f;
    a.scale = 0.25f;
    a.pooled = pooled;
    a.total = total;
    const size_t scratch = sfl_nn_round_up(sfl_nn_attention_scratch(&a, b->width), SFL_NN_SCRATCH_UNIT);
    a.scratch = calloc(2 * scratch, 4);
    double worst = 0;
    for (a.skip = 0; a.skip < 2; a.skip++) {
        for (unsigned part = 0; part < 2; part++) {
            sfl_nn_attention half = a;
            if (sfl_nn_cut_attention(&half, &(sfl_nn_cut){part, 2, b->width})) b->attention(&half);
        }
        for (size_t i = 0; i < SAMPLES; i++)
            worst = fmax(worst, sample_off(&n, query + i * WIDE, mask + i * HISTORY, keys[i], pooled + i * WIDE,
                                           total + i * WIDE));
    }
    return near("attention", b, worst, 1e-5);
}

int check_layers(const sfl_nn_backend *b)
{
    return check_softmax(b) | check_curves(b) | check_int8(b) | check_lookup(b) | check_attention(b);
}
