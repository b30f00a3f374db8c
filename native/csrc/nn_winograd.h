/* Winograd's convolution for any F(n, k): the matrices come with the job. Tiles are transformed a block at a time, so
 * that both transformed blocks stay in the cache; in between are size^2 matrix products. */
#ifndef SFL_NN_WINOGRAD_H
#define SFL_NN_WINOGRAD_H

#include "nn_gemm.h"

/* out[i] = sum over j of m[i][j] x[j], where rows 1 + 2i and 2 + 2i, i < pairs, belong to points p and -p: they differ
 * in the sign of their odd terms only. */
INLINE void transform_in(const float *m, const size_t size, size_t pairs, const vec *x, size_t step, vec *out,
                         size_t out_step)
{
    for (size_t i = 0; i < size; i += 1) {
        const float *row = m + i * size;
        vec even = {0}, odd = {0};
        UNROLL
        for (size_t j = 0; j < size; j += 2) even += row[j] * x[j * step];
        UNROLL
        for (size_t j = 1; j < size; j += 2) odd += row[j] * x[j * step];
        out[i * out_step] = even + odd;
        if (i > 0 && i < 2 * pairs) out[++i * out_step] = even - odd;
    }
}

/* out[i] = sum over j of m[i][j] x[j], where columns 1 + 2j and 2 + 2j, j < pairs, belong to points p and -p: equal in
 * even rows, opposite in odd ones. */
INLINE void transform_out(const float *m, const size_t tile, const size_t size, size_t pairs, const vec *x, size_t step,
                          vec *out, size_t out_step)
{
    vec sums[SFL_NN_MAX_SIZE], differences[SFL_NN_MAX_SIZE];
    for (size_t p = 0; p < pairs; p++) {
        const vec a = x[(1 + 2 * p) * step], b = x[(2 + 2 * p) * step];
        sums[p] = a + b;
        differences[p] = a - b;
    }
    UNROLL
    for (size_t i = 0; i < tile; i++) {
        const float *row = m + i * size;
        vec sum = row[0] * x[0];
        for (size_t p = 0; p < pairs; p++) sum += row[1 + 2 * p] * (i % 2 ? differences[p] : sums[p]);
        for (size_t j = 1 + 2 * pairs; j < size; j++) sum += row[j] * x[j * step];
        out[i * out_step] = sum;
    }
}

/* The square of `size` at (y, x), which may lie outside the image: zeros there. */
INLINE void load_square(vec *square, const size_t size, const float *image, const sfl_nn_window *w, ptrdiff_t y,
                        ptrdiff_t x)
{
    const ptrdiff_t height = (ptrdiff_t)w->height, width = (ptrdiff_t)w->width, side = (ptrdiff_t)size;
    if (y >= 0 && x >= 0 && y + side <= height && x + side <= width) {
        for (size_t i = 0; i < size; i++) {
            const float *row = image + ((size_t)y + i) * w->width * WIDTH + (size_t)x * WIDTH;
            UNROLL
            for (size_t j = 0; j < size; j++) square[i * size + j] = load(row + j * WIDTH);
        }
        return;
    }
    for (ptrdiff_t i = 0; i < side; i++) {
        for (ptrdiff_t j = 0; j < side; j++) {
            const int inside = y + i >= 0 && y + i < height && x + j >= 0 && x + j < width;
            square[i * side + j] = inside ? load(image + ((y + i) * width + x + j) * SFL_WIDTH) : (vec){0};
        }
    }
}

/* A block of tiles: where its transforms lie, and how far apart they are. */
typedef struct {
    size_t first, count, across; /* tiles; tiles in a row of tiles */
    size_t in_plane, out_plane;  /* floats between two of the size^2 products: never a multiple of the cache's period */
    float *in, *out;
} tile_block;

INLINE void blocks_in(const sfl_nn_winograd *g, const size_t size, const float *x, const tile_block *b)
{
    const sfl_nn_window *w = &g->window;
    const size_t blocks = (w->channels + WIDTH - 1) / WIDTH;
    for (size_t c = 0; c < blocks; c++) {
        for (size_t t = 0; t < b->count; t++) {
            const size_t y = (b->first + t) / b->across * g->tile, column = (b->first + t) % b->across * g->tile;
            vec square[SFL_NN_MAX_SIZE * SFL_NN_MAX_SIZE], half[SFL_NN_MAX_SIZE * SFL_NN_MAX_SIZE];
            load_square(square, size, x + c * w->height * w->width * WIDTH, w, (ptrdiff_t)y - (ptrdiff_t)w->pad[0],
                        (ptrdiff_t)column - (ptrdiff_t)w->pad[1]);
            for (size_t j = 0; j < size; j++) transform_in(g->input, size, g->pairs, square + j, size, half + j, size);
            for (size_t i = 0; i < size; i++)
                transform_in(g->input, size, g->pairs, half + i * size, 1, square + i * size, 1);
            float *out = b->in + (c * g->tiles + t) * WIDTH;
            for (size_t p = 0; p < size * size; p++) store(out + p * b->in_plane, square[p]);
        }
    }
}

INLINE void blocks_out(const sfl_nn_winograd *g, const size_t tile, const size_t size, const tile_block *b,
                       const float *add, float *out)
{
    const sfl_nn_window *w = &g->window;
    const size_t blocks = (w->out_channels + WIDTH - 1) / WIDTH;
    const vec low = all(g->low), high = all(g->high);
    for (size_t c = 0; c < blocks; c++) {
        const vec bias = load(g->bias + c * WIDTH);
        for (size_t t = 0; t < b->count; t++) {
            const size_t y = (b->first + t) / b->across * tile, x = (b->first + t) % b->across * tile;
            vec square[SFL_NN_MAX_SIZE * SFL_NN_MAX_SIZE], half[SFL_NN_MAX_SIZE * SFL_NN_MAX_SIZE];
            const float *in = b->out + (c * g->tiles + t) * WIDTH;
            for (size_t p = 0; p < size * size; p++) square[p] = load(in + p * b->out_plane);
            for (size_t j = 0; j < size; j++)
                transform_out(g->output, tile, size, g->pairs, square + j, size, half + j, size);
            for (size_t i = 0; i < tile && y + i < w->out_height; i++) {
                transform_out(g->output, tile, size, g->pairs, half + i * size, 1, square, 1);
                const size_t place = ((c * w->out_height + y + i) * w->out_width + x) * WIDTH;
                for (size_t j = 0; j < tile && x + j < w->out_width; j++) {
                    vec sum = square[j] + bias;
                    if (add) sum += load(add + place + j * WIDTH);
                    store(out + place + j * WIDTH, clamp(sum, low, high));
                }
            }
        }
    }
}

/* G g G^T of a vector of filters: planes apart in `out`. */
INLINE void transform_filters(const sfl_nn_filters *f, const vec *g, float *out, size_t plane)
{
    vec half[SFL_NN_MAX_SIZE * SFL_NN_MAX_SIZE];
    for (size_t i = 0; i < f->size; i++) {
        for (size_t x = 0; x < f->kernel; x++) {
            vec sum = {0};
            for (size_t y = 0; y < f->kernel; y++) sum += f->matrix[i * f->kernel + y] * g[y * f->kernel + x];
            half[i * f->kernel + x] = sum;
        }
        for (size_t j = 0; j < f->size; j++) {
            vec sum = {0};
            for (size_t x = 0; x < f->kernel; x++) sum += f->matrix[j * f->kernel + x] * half[i * f->kernel + x];
            store(out + (i * f->size + j) * plane, sum);
        }
    }
}

static void filters(const sfl_nn_filters *f)
{
    const size_t taps = f->kernel * f->kernel, depth = sfl_nn_round_up(f->channels, WIDTH);
    const size_t columns = sfl_nn_round_up(f->filters, PANEL), plane = depth * columns;
    for (size_t n = 0; n < columns; n += WIDTH) {
        float *out = f->out + n / PANEL * PANEL * depth + n % PANEL;
        for (size_t c = 0; c < depth; c++, out += PANEL) {
            float gathered[SFL_NN_MAX_SIZE * SFL_NN_MAX_SIZE][SFL_WIDTH];
            vec g[SFL_NN_MAX_SIZE * SFL_NN_MAX_SIZE];
            memset(gathered, 0, taps * sizeof gathered[0]);
            for (size_t lane = 0; lane < WIDTH && n + lane < f->filters && c < f->channels; lane++) {
                const float *weights = f->weights + ((n + lane) * f->channels + c) * taps;
                for (size_t t = 0; t < taps; t++) gathered[t][lane] = weights[t];
            }
            for (size_t t = 0; t < taps; t++) g[t] = load(gathered[t]);
            transform_filters(f, g, out, plane);
        }
    }
}

/* tile and size are constants for the kinds that the planner likes best. */
INLINE void winograd_image(const sfl_nn_winograd *g, const size_t tile, const size_t size, const float *x,
                           const float *add, float *out)
{
    const sfl_nn_window *w = &g->window;
    const size_t in = (w->channels + WIDTH - 1) / WIDTH, filters = (w->out_channels + WIDTH - 1) / WIDTH;
    const size_t panels = (w->out_channels + PANEL - 1) / PANEL * PANEL, end = g->first + g->count;
    tile_block b = {.first = g->first,
                    .across = (w->out_width + tile - 1) / tile,
                    .in_plane = (in * g->tiles + 1) * WIDTH,
                    .out_plane = (filters * g->tiles + 1) * WIDTH};
    ptrdiff_t *taps = (ptrdiff_t *)(void *)g->scratch;
    for (size_t c = 0; c < in; c++) taps[c] = (ptrdiff_t)(c * g->tiles * WIDTH);
    b.in = g->scratch + sfl_nn_round_up(in * sizeof(ptrdiff_t) / 4, WIDTH);
    b.out = b.in + size * size * b.in_plane;
    float *zeros = b.out + size * size * b.out_plane;
    memset(zeros, 0, 4 * panels);
    for (; b.first < end; b.first += g->tiles) {
        b.count = end - b.first < g->tiles ? end - b.first : g->tiles;
        blocks_in(g, size, x, &b);
        for (size_t p = 0; p < size * size; p++) {
            const sfl_nn_gemm product = {.lines = 1,
                                         .rows = b.count,
                                         .columns = filters * WIDTH,
                                         .a = b.in + p * b.in_plane,
                                         .a_row = SFL_WIDTH,
                                         .taps = taps,
                                         .tap_count = in,
                                         .depth = WIDTH,
                                         .b = g->weights + p * g->plane,
                                         .bias = zeros,
                                         .c = b.out + p * b.out_plane,
                                         .c_row = SFL_WIDTH,
                                         .c_column = (ptrdiff_t)(g->tiles * WIDTH),
                                         .low = -FLT_MAX,
                                         .high = FLT_MAX};
            gemm(&product);
        }
        blocks_out(g, tile, size, &b, add, out);
    }
}

static void winograd(const sfl_nn_winograd *g)
{
    const sfl_nn_window *w = &g->window;
    const size_t in = sfl_nn_round_up(w->channels, WIDTH) * w->height * w->width;
    const size_t outs = sfl_nn_round_up(w->out_channels, WIDTH) * w->out_height * w->out_width;
    for (size_t i = 0; i < w->images; i++) {
        const float *x = g->x + i * in, *add = g->add ? g->add + i * outs : NULL;
        float *out = g->out + i * outs;
        if (g->tile == 2 && g->size == 4) winograd_image(g, 2, 4, x, add, out);
        else if (g->tile == 4 && g->size == 6) winograd_image(g, 4, 6, x, add, out);
        else winograd_image(g, g->tile, g->size, x, add, out);
    }
}

#endif
