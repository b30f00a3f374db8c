/* The one matrix product: tiles of up to TILE_ROWS rows and one panel live in registers, the whole depth long. */
#ifndef SFL_NN_GEMM_H
#define SFL_NN_GEMM_H

#include "nn_vector.h"

#define A_BLOCK ((size_t)48 << 10) /* floats of A that stay in the cache while all panels pass */

/* rows <= TILE_ROWS and vectors <= 2 are constants here: the compiler makes one function of each pair. */
INLINE void tile(const sfl_nn_gemm *g, const size_t rows, const size_t vectors, const float *a, const float *b,
                 const float *bias, ptrdiff_t at, size_t columns)
{
    vec sum[TILE_ROWS][2];
    UNROLL
    for (size_t i = 0; i < rows; i++) {
        UNROLL
        for (size_t j = 0; j < vectors; j++) sum[i][j] = load(bias + j * WIDTH);
    }
    for (size_t t = 0; t < g->tap_count; t++) {
        const float *x = a + g->taps[t];
        for (size_t k = 0; k < g->depth; k++, b += PANEL) {
            vec w[2];
            UNROLL
            for (size_t j = 0; j < vectors; j++) w[j] = load(b + j * WIDTH);
            UNROLL
            for (size_t i = 0; i < rows; i++) {
                const vec v = all(x[(ptrdiff_t)i * g->a_row + (ptrdiff_t)k]);
                UNROLL
                for (size_t j = 0; j < vectors; j++) sum[i][j] += v * w[j];
            }
        }
    }
    /* Copies: to the compiler, a store of a vector might change the job. */
    const vec low = all(g->low), high = all(g->high);
    const ptrdiff_t row = g->c_row, column = g->c_column;
    const float *add = g->add ? g->add + at : NULL;
    float *c = g->c + at;
    if (!add && columns >= vectors * WIDTH) {
        UNROLL
        for (size_t i = 0; i < rows; i++, c += row) {
            UNROLL
            for (size_t j = 0; j < vectors; j++) store(c + (ptrdiff_t)j * column, clamp(sum[i][j], low, high));
        }
        return;
    }
    UNROLL
    for (size_t i = 0; i < rows; i++) {
        UNROLL
        for (size_t j = 0; j < vectors; j++) {
            const ptrdiff_t place = (ptrdiff_t)i * row + (ptrdiff_t)j * column;
            const size_t left = columns - j * WIDTH;
            if (add) sum[i][j] += load_up_to(add + place, left);
            store_up_to(c + place, clamp(sum[i][j], low, high), left);
        }
    }
}

typedef void tile_fn(const sfl_nn_gemm *g, const float *a, const float *b, const float *bias, ptrdiff_t at,
                     size_t columns);

#define TILE(rows, vectors)                                                                                    \
    static __attribute__((noinline)) void tile_##rows##_##vectors(                                             \
        const sfl_nn_gemm *g, const float *a, const float *b, const float *bias, ptrdiff_t at, size_t columns) \
    {                                                                                                          \
        tile(g, rows, vectors, a, b, bias, at, columns);                                                       \
    }
#define TILES(rows) TILE(rows, 1) TILE(rows, 2)
#define NAMES(rows) {tile_##rows##_1, tile_##rows##_2}

TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)
#if TILE_ROWS > 6
TILES(7)
TILES(8)
TILES(9)
TILES(10)
TILES(11)
TILES(12)
TILES(13)
TILES(14)
#endif
static tile_fn *const tiles[TILE_ROWS][2] = {
    NAMES(1), NAMES(2), NAMES(3), NAMES(4),  NAMES(5),  NAMES(6),
#if TILE_ROWS > 6
    NAMES(7), NAMES(8), NAMES(9), NAMES(10), NAMES(11), NAMES(12), NAMES(13), NAMES(14),
#endif
};

/* Rows [first, first + rows) of one line against one panel, in tiles of nearly the same height. */
static void panel_rows(const sfl_nn_gemm *g, size_t line, size_t first, size_t rows, size_t panel)
{
    const size_t count = (rows + TILE_ROWS - 1) / TILE_ROWS, small = rows / count, taller = rows % count;
    const size_t columns = g->columns - panel * PANEL;
    const float *b = g->b + panel * PANEL * g->tap_count * g->depth, *bias = g->bias + panel * PANEL;
    const float *a = g->a + (ptrdiff_t)line * g->a_line;
    const ptrdiff_t at = (ptrdiff_t)line * g->c_line + (ptrdiff_t)(2 * panel) * g->c_column;
    for (size_t t = 0, row = first; t < count; t++) {
        const size_t height = small + (t < taller);
        tiles[height - 1][columns > WIDTH](g, a + (ptrdiff_t)row * g->a_row, b, bias, at + (ptrdiff_t)row * g->c_row,
                                           columns);
        row += height;
    }
}

/* One row: four panels side by side keep the multipliers busy; nothing of the weights is read twice. */
static void one_row(const sfl_nn_gemm *g)
{
    const size_t depth = g->tap_count * g->depth, stride = PANEL * depth;
    size_t panel = 0, panels = (g->columns + PANEL - 1) / PANEL;
    for (; panel + 4 <= panels; panel += 4) {
        const float *b = g->b + panel * stride;
        vec sum[8];
        UNROLL
        for (size_t j = 0; j < 8; j++) sum[j] = load(g->bias + panel * PANEL + j * WIDTH);
        for (size_t t = 0; t < g->tap_count; t++) {
            const float *x = g->a + g->taps[t];
            for (size_t k = 0; k < g->depth; k++, b += PANEL) {
                const vec v = all(x[k]);
                UNROLL
                for (size_t j = 0; j < 8; j++) sum[j] += v * load(b + j / 2 * stride + j % 2 * WIDTH);
            }
        }
        UNROLL
        for (size_t j = 0; j < 8; j++) {
            const size_t column = panel * PANEL + j * WIDTH;
            const ptrdiff_t place = (ptrdiff_t)(column / WIDTH) * g->c_column;
            if (column >= g->columns) break;
            const size_t left = g->columns - column;
            if (g->add) sum[j] += load_up_to(g->add + place, left);
            store_up_to(g->c + place, clamp(sum[j], all(g->low), all(g->high)), left);
        }
    }
    for (; panel < panels; panel++) panel_rows(g, 0, 0, 1, panel);
}

static void gemm(const sfl_nn_gemm *g)
{
    const size_t panels = (g->columns + PANEL - 1) / PANEL, depth = g->tap_count * g->depth;
    const size_t lines_at_once = A_BLOCK / (depth * g->rows) + 1;
    const size_t rows_at_once = (A_BLOCK / depth / TILE_ROWS + 1) * TILE_ROWS;
    if (g->lines * g->rows == 1) {
        one_row(g);
        return;
    }
    for (size_t l = 0; l < g->lines; l += lines_at_once) {
        const size_t end = g->lines - l < lines_at_once ? g->lines : l + lines_at_once;
        for (size_t r = 0; r < g->rows; r += rows_at_once) {
            const size_t rows = g->rows - r < rows_at_once ? g->rows - r : rows_at_once;
            for (size_t p = 0; p < panels; p++) {
                for (size_t line = l; line < end; line++) panel_rows(g, line, r, rows, p);
            }
        }
    }
}

#endif
