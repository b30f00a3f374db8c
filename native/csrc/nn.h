/* The contract of the inference kernels. Nothing of Python on this side.
 *
 * Numbers    float32. A kernel trusts its job: every extent is the caller's to check (py_nn.c does).
 * Vectors    `width` floats; each backend has its own. A "blocked" image tensor (images, channels, height, width) lies
 *            as [image][channel / width][row][column][channel % width]; lanes beyond the last channel hold anything
 *            finite, and the weights that meet them are zero. "Planar" is ONNX's own order.
 * Panels     A matrix (depth, columns) is packed as [column / panel][depth][column % panel], zero-padded; panel is two
 *            vectors. Biases are padded to whole panels.
 * Aliasing   Arrays do not overlap, but `add` may be `out`.
 * Scratch    Comes with the job; a kernel allocates nothing, and keeps nothing.
 */
#ifndef SFL_NN_H
#define SFL_NN_H

#include "kernels.h"

/* ---- C = clamp(A B + bias + add): the one matrix product ---------------------------------------------------- */

/* Row r of line l of A is the concatenation over t of the `depth` floats at a + l a_line + r a_row + taps[t].
 * Vector v of that row of C is at c + l c_line + r c_row + v c_column. Columns beyond the last are not written. */
typedef struct {
    size_t lines, rows, columns;
    const float *a;
    ptrdiff_t a_line, a_row;
    const ptrdiff_t *taps;
    size_t tap_count, depth;
    const float *b, *bias, *add;
    float *c;
    ptrdiff_t c_line, c_row, c_column;
    float low, high;
} sfl_nn_gemm;

/* ---- Layers ------------------------------------------------------------------------------------------------- */

typedef enum {
    SFL_NN_IDENTITY,
    SFL_NN_SIGMOID,
    SFL_NN_TANH,
    SFL_NN_PRELU,
    SFL_NN_DICE,
    SFL_NN_ACTIVATIONS
} sfl_nn_activation;

/* out (rows, columns) = activation(clamp(x (rows, depth) W + bias)). Weights are floats, or int8 with one `scales` a
 * column (padded like the bias), and then scratch holds depth * panel floats. alpha (columns) is PReLU's and Dice's. */
typedef struct {
    size_t rows, depth, columns;
    const float *x;
    const void *weights;
    const float *scales, *bias, *alpha;
    float *out, *scratch;
    float low, high;
    sfl_nn_activation activation;
} sfl_nn_linear;

/* The geometry of a window that slides over images: convolution, depthwise convolution, pooling. */
typedef struct {
    size_t images, channels, height, width;
    size_t out_channels, out_height, out_width;
    size_t kernel[2], stride[2], pad[2]; /* rows, columns; the padding is the one at the top and at the left */
} sfl_nn_window;

/* out = clamp(conv(x) + bias + add), blocked; x is blocked, or planar. Weights are panels of depth
 * [input block][kernel row][kernel column][lane] (planar: lanes of one). Of each image the output lines
 * [first, first + lines) are made. Scratch as sfl_nn_conv_scratch says at least: what more there is makes the strips
 * higher. */
typedef struct {
    sfl_nn_window window;
    int planar;
    const float *x, *weights, *bias, *add;
    float *out, *scratch;
    size_t scratch_floats;
    float low, high;
    size_t first, lines;
} sfl_nn_conv;

#define SFL_NN_MAX_SIZE 10

/* Winograd's F(tile, kernel) with stride 1 (Lavin, Gray 2016). size = tile + kernel - 1 <= SFL_NN_MAX_SIZE; input
 * (size, size) and output (tile, size) are B^T and A^T for the points 0, p1, -p1, p2, -p2, ... (`pairs` of them) and
 * whatever follows. weights are size^2 panel matrices (channels in whole vectors, filters), already transformed, `plane`
 * floats apart. Of each image the tiles [first, first + count) are made, `tiles` at a time; scratch:
 * sfl_nn_winograd_scratch floats. */
typedef struct {
    sfl_nn_window window;
    size_t tile, size, pairs, tiles;
    const float *input, *output;
    const float *x, *weights, *bias, *add;
    float *out, *scratch;
    float low, high;
    size_t plane, first, count;
} sfl_nn_winograd;

/* out = clamp(x W + bias), a 1x1 convolution of blocked images by one level of Strassen's product. channels and filters
 * are multiples of two vectors, pixels are even. weights are seven panel matrices (channels / 2, filters / 2), as
 * nn_strassen.h names them. Scratch: sfl_nn_strassen_scratch floats. */
typedef struct {
    size_t images, channels, filters, pixels;
    const float *x, *weights, *bias;
    float *out, *scratch;
    float low, high;
} sfl_nn_strassen;

/* out = clamp(depthwise(x) + bias), blocked; weights [block][kernel row][kernel column][lane]. */
typedef struct {
    sfl_nn_window window;
    const float *x, *weights, *bias;
    float *out;
    float low, high;
} sfl_nn_depthwise;

/* Blocked. The mean is over the window's true entries, or over the whole window. */
typedef enum { SFL_NN_MAX, SFL_NN_MEAN, SFL_NN_MEAN_PADDED, SFL_NN_POOLS } sfl_nn_pooling;
typedef struct {
    sfl_nn_window window;
    sfl_nn_pooling kind;
    const float *x;
    float *out;
} sfl_nn_pool;

/* out = clamp(a op b), count floats each; b may have `repeat` floats that recur (repeat divides count). */
typedef enum { SFL_NN_ADD, SFL_NN_SUB, SFL_NN_MUL, SFL_NN_BINARIES } sfl_nn_binary;
typedef struct {
    sfl_nn_binary kind;
    size_t count, repeat;
    const float *a, *b;
    float *out;
    float low, high;
} sfl_nn_elementwise;

/* out = activation(clamp(x)) of (rows, columns). */
typedef struct {
    size_t rows, columns;
    const float *x, *alpha;
    float *out;
    float low, high;
    sfl_nn_activation activation;
} sfl_nn_activate;

/* out = softmax over the columns of x (rows, columns). In place. */
typedef struct {
    size_t rows, columns;
    const float *x;
    float *out;
} sfl_nn_softmax;

/* Between planar and blocked, either way. */
typedef struct {
    size_t images, channels, pixels;
    int to_blocked;
    const float *x;
    float *out;
} sfl_nn_convert;

/* `rows` rows of `columns` 4-byte items, `x_row` and `out_row` items apart. */
typedef struct {
    size_t rows, columns, x_row, out_row;
    const float *x;
    float *out;
} sfl_nn_copy;

/* Weights as panels: item j of row k of a panel p is x[(p * panel + j) * row + index[k]]; 0 beyond
 * `columns`, and where index[k] is negative. */
typedef struct {
    size_t columns, depth, row;
    const int64_t *index;
    const float *x;
    float *out;
} sfl_nn_pack;

/* Filters g (filters, channels, kernel, kernel) as Winograd's: matrix (size, kernel) is G, and out has G g G^T as size^2
 * panel matrices (channels in whole vectors, filters). */
typedef struct {
    size_t filters, channels, kernel, size;
    const float *matrix, *weights;
    float *out;
} sfl_nn_filters;

/* ---- Rows of embedding tables ------------------------------------------------------------------------------- */

/* (rows, width) floats, or int8 with one scale a row. An index that is no row reads the last row: the default. */
typedef struct {
    const void *rows;
    const float *scales;
    size_t count, width;
} sfl_nn_table;

/* Indices are int32 or int64. */
typedef struct {
    const void *items;
    int wide;
} sfl_nn_indices;

/* out (count, width) = the rows. */
typedef struct {
    sfl_nn_table table;
    sfl_nn_indices index;
    size_t count;
    float *out;
} sfl_nn_lookup;

/* out[i] = the place of keys[i] in `sorted` (distinct, ascending), or `size` where it is absent; found[i] (unless NULL)
 * = 1 or 0. */
typedef struct {
    const int64_t *sorted, *keys;
    size_t size, count;
    int64_t *out;
    float *found;
} sfl_nn_locate;

/* ---- DIN's attention (Zhou et al. 2018), factored ------------------------------------------------------------ */

#define SFL_NN_TABLES 3
#define SFL_NN_QUERIES ((size_t)14) /* samples whose queries are multiplied at a time */

/* For each of `samples`: history rows k_l (the rows of 1 to 3 tables side by side, `width` together), the query q
 * (width), and mask m_l. hidden1 = sigmoid(q Wq + [k, q*k] Wk + b1), hidden2 = sigmoid(hidden1 W2 + b2), score_l =
 * (hidden2 w3 + b3) * scale; pooled = sum of softmax(score)_l k_l over the l with m_l != 0, total = sum of m_l k_l
 * (NULL: not wanted). A history with no such l pools to 0, or, with `mean_of_empty`, to the mean of all k_l.
 * `skip` leaves out the rows with m_l = 0; without it the same result takes the work of a full history.
 * Wq (width, hidden1), Wk (2 width, hidden1), W2 (hidden1, hidden2) are panels; w3 is padded to whole vectors.
 * Scratch: sfl_nn_attention_scratch floats. */
typedef struct {
    size_t samples, history, width, hidden1, hidden2, tables;
    sfl_nn_table table[SFL_NN_TABLES];
    sfl_nn_indices index[SFL_NN_TABLES];
    const float *query, *mask;
    const float *wq, *wk, *b1, *w2, *b2, *w3;
    float b3, scale;
    float *pooled, *total, *scratch;
    int skip, mean_of_empty;
} sfl_nn_attention;

/* ---- Backends ------------------------------------------------------------------------------------------------ */

/* To add a backend: one file that includes nn_kernels.h under its instructions, one line in the table of nn.c. */
typedef struct {
    const char *name;
    int (*usable)(void);
    size_t width;     /* floats in a vector */
    size_t tile_rows; /* rows of the tallest tile of a matrix product */
    void (*gemm)(const sfl_nn_gemm *job);
    void (*linear)(const sfl_nn_linear *job);
    void (*conv)(const sfl_nn_conv *job);
    void (*winograd)(const sfl_nn_winograd *job);
    void (*strassen)(const sfl_nn_strassen *job);
    void (*depthwise)(const sfl_nn_depthwise *job);
    void (*pool)(const sfl_nn_pool *job);
    void (*elementwise)(const sfl_nn_elementwise *job);
    void (*activate)(const sfl_nn_activate *job);
    void (*softmax)(const sfl_nn_softmax *job);
    void (*convert)(const sfl_nn_convert *job);
    void (*pack)(const sfl_nn_pack *job);
    void (*filters)(const sfl_nn_filters *job);
    void (*lookup)(const sfl_nn_lookup *job);
    void (*attention)(const sfl_nn_attention *job);
    int (*all_finite)(const float *x, size_t count);
} sfl_nn_backend;

extern const sfl_nn_backend sfl_nn_portable;
#ifdef SFL_X86
extern const sfl_nn_backend sfl_nn_avx2, sfl_nn_avx512;
#endif

/* All that were compiled in, best first, then NULL. */
extern const sfl_nn_backend *const sfl_nn_backends[];

/* What needs no vectors (nn.c). */
void sfl_nn_copy_rows(const sfl_nn_copy *job);
void sfl_nn_locate_keys(const sfl_nn_locate *job);
size_t sfl_nn_conv_scratch(const sfl_nn_conv *job, size_t width);
size_t sfl_nn_winograd_scratch(const sfl_nn_winograd *job, size_t width);
size_t sfl_nn_strassen_scratch(const sfl_nn_strassen *job, size_t width);
size_t sfl_nn_attention_scratch(const sfl_nn_attention *job, size_t width);

/* `count` rounded up to a multiple of `unit`. */
static inline size_t sfl_nn_round_up(size_t count, size_t unit)
{
    return (count + unit - 1) / unit * unit;
}

#endif
