/* Convolution as one product for each strip of output lines; the taps of the kernel are offsets into the image. */
#ifndef SFL_NN_CONV_H
#define SFL_NN_CONV_H

#include "nn_gemm.h"

/* A strip of the padded image: `lines` input lines of every block, `lanes` floats a pixel. */
typedef struct {
    size_t blocks, lanes, lines, columns;
} strip;

/* Lines [first, first + lines) of an image with its padding, zeros outside. */
static void copy_strip(float *out, const float *x, const sfl_nn_window *w, const strip *s, ptrdiff_t first)
{
    const size_t left = w->pad[1] * s->lanes, width = w->width * s->lanes, row = s->columns * s->lanes;
    const size_t fits = left + width < row ? width : row - left, right = row - left - fits;
    for (size_t b = 0; b < s->blocks; b++) {
        for (size_t l = 0; l < s->lines; l++, out += row) {
            const ptrdiff_t line = first + (ptrdiff_t)l;
            if (line < 0 || line >= (ptrdiff_t)w->height) {
                memset(out, 0, 4 * row);
                continue;
            }
            memset(out, 0, 4 * left);
            memcpy(out + left, x + (b * w->height + (size_t)line) * width, 4 * fits);
            memset(out + left + fits, 0, 4 * right);
        }
    }
}

static void set_taps(ptrdiff_t *taps, const sfl_nn_window *w, const strip *s)
{
    for (size_t b = 0; b < s->blocks; b++) {
        for (size_t y = 0; y < w->kernel[0]; y++) {
            for (size_t x = 0; x < w->kernel[1]; x++)
                *taps++ = (ptrdiff_t)(((b * s->lines + y) * s->columns + x) * s->lanes);
        }
    }
}

static int needs_padding(const sfl_nn_window *w)
{
    return w->pad[0] || w->pad[1] || (w->out_height - 1) * w->stride[0] + w->kernel[0] > w->height ||
           (w->out_width - 1) * w->stride[1] + w->kernel[1] > w->width;
}

/* One image. A product whose A needs no padding and skips no pixel is flat: all pixels are rows of one line. */
static void conv_image(const sfl_nn_conv *c, const float *x, const float *add, float *out)
{
    const sfl_nn_window *w = &c->window;
    const size_t lanes = c->planar ? 1 : WIDTH, blocks = (w->channels + lanes - 1) / lanes;
    const size_t taps = blocks * w->kernel[0] * w->kernel[1], pixels = w->out_height * w->out_width;
    ptrdiff_t *offsets = (ptrdiff_t *)(void *)c->scratch;
    float *buffer = c->scratch + sfl_nn_round_up(taps * sizeof(ptrdiff_t) / 4, WIDTH);
    strip s = {blocks, lanes, w->height, w->width};
    sfl_nn_gemm g = {.lines = w->out_height,
                     .rows = w->out_width,
                     .columns = sfl_nn_round_up(w->out_channels, WIDTH),
                     .taps = offsets,
                     .tap_count = taps,
                     .depth = lanes,
                     .b = c->weights,
                     .bias = c->bias,
                     .c_row = SFL_WIDTH,
                     .c_line = (ptrdiff_t)(w->out_width * WIDTH),
                     .c_column = (ptrdiff_t)(pixels * WIDTH),
                     .low = c->low,
                     .high = c->high,
                     .a_row = (ptrdiff_t)(w->stride[1] * lanes)};
    const int padded = needs_padding(w);
    const int flat = !padded && taps == blocks && w->stride[0] == 1 && w->stride[1] == 1 && w->out_width == w->width;
    size_t at_once = w->out_height;
    if (padded) {
        s.columns = (w->out_width - 1) * w->stride[1] + w->kernel[1];
        const size_t room = (c->scratch_floats - (size_t)(buffer - c->scratch)) / (blocks * s.columns * lanes);
        at_once = (room - w->kernel[0]) / w->stride[0] + 1;
        if (at_once > w->out_height) at_once = w->out_height;
        s.lines = (at_once - 1) * w->stride[0] + w->kernel[0];
        g.a = buffer;
    }
    set_taps(offsets, w, &s);
    g.a_line = (ptrdiff_t)(w->stride[0] * s.columns * lanes);
    const size_t end = c->first + c->lines;
    for (size_t l = c->first; l < end; l += at_once) {
        const size_t lines = end - l < at_once ? end - l : at_once;
        if (padded) copy_strip(buffer, x, w, &s, (ptrdiff_t)(l * w->stride[0]) - (ptrdiff_t)w->pad[0]);
        else g.a = x + (ptrdiff_t)l * g.a_line;
        g.lines = flat ? 1 : lines;
        g.rows = flat ? lines * w->out_width : w->out_width;
        g.c = out + (ptrdiff_t)l * g.c_line;
        g.add = add ? add + (ptrdiff_t)l * g.c_line : NULL;
        gemm(&g);
    }
}

static void conv(const sfl_nn_conv *c)
{
    const sfl_nn_window *w = &c->window;
    const size_t lanes = c->planar ? 1 : WIDTH;
    const size_t in = sfl_nn_round_up(w->channels, lanes) * w->height * w->width;
    const size_t out = sfl_nn_round_up(w->out_channels, WIDTH) * w->out_height * w->out_width;
    for (size_t i = 0; i < w->images; i++)
        conv_image(c, c->x + i * in, c->add ? c->add + i * out : NULL, c->out + i * out);
}

/* What of a window along one axis lies inside: where it starts, and how long it is. */
INLINE size_t inside(size_t at, size_t kernel, size_t pad, size_t size, size_t *length)
{
    const size_t start = at < pad ? pad - at : 0, end = size + pad - at;
    *length = (end < kernel ? end : kernel) - start;
    return at + start - pad;
}

enum { OUTPUTS = 7 }; /* that are made at a time */

/* Lines of outputs of one block of channels. From output `first` to `last` they are made OUTPUTS at a time; of their
 * windows only the first pixel of a line (`before`) and the last (`beyond`) may lie outside. */
typedef struct {
    const sfl_nn_window *window;
    size_t first, last;
    int before, beyond;
    const float *x, *weights; /* the first rows inside, of `rows` */
    float *out;
    size_t rows;
    vec bias, low, high;
} channel_line;

static void set_ends(channel_line *l)
{
    const sfl_nn_window *w = l->window;
    const size_t stride = w->stride[1], pad = w->pad[1], padded = w->width + pad, kernel = w->kernel[1];
    const size_t needed = (w->out_width - 1) * stride + kernel;
    const size_t fit = padded < kernel ? 0 : (padded - kernel) / stride + 1;
    l->before = pad == 1;
    l->beyond = needed == padded + 1;
    l->first = l->before ? 0 : (pad + stride - 1) / stride;
    l->last = l->beyond || fit > w->out_width ? w->out_width : fit;
    if (l->last < l->first + OUTPUTS) l->first = l->last = w->out_width;
}

/* Outputs [o, o + count), of whose windows the columns [left, right) count; each pixel is read once. But for left and
 * right at the ends, the numbers are constants. */
INLINE void depthwise_outputs(const channel_line *l, const size_t count, const size_t stride, size_t o,
                              const size_t left, const size_t right, int before, int beyond)
{
    const sfl_nn_window *w = l->window;
    const float *x = l->x + ((ptrdiff_t)(o * stride + left) - (ptrdiff_t)w->pad[1]) * SFL_WIDTH;
    const float *weights = l->weights + left * WIDTH;
    const size_t pixels = (count - 1) * stride + right - left;
    vec sum[OUTPUTS];
    UNROLL
    for (size_t i = 0; i < count; i++) sum[i] = l->bias;
    for (size_t y = 0; y < l->rows; y++, x += w->width * WIDTH, weights += w->kernel[1] * WIDTH) {
        UNROLL
        for (size_t p = 0; p < pixels; p++) {
            const int outside = (p == 0 && before) || (p + 1 == pixels && beyond);
            const vec pixel = outside ? (vec){0} : load(x + p * WIDTH);
            UNROLL
            for (size_t i = 0; i < count; i++) {
                if (p >= i * stride && p - i * stride < right - left)
                    sum[i] += pixel * load(weights + (p - i * stride) * WIDTH);
            }
        }
    }
    UNROLL
    for (size_t i = 0; i < count; i++) store(l->out + (o + i) * WIDTH, clamp(sum[i], l->low, l->high));
}

/* Outputs at an end of the line, each with what is there. */
static void depthwise_end(const channel_line *l, size_t first, size_t last)
{
    const sfl_nn_window *w = l->window;
    const size_t stride = w->stride[1], pad = w->pad[1], columns = w->kernel[1];
    for (size_t o = first; o < last; o++) {
        const size_t at = o * stride, left = at < pad ? pad - at : 0, right = w->width + pad - at;
        depthwise_outputs(l, 1, stride, o, left, right < columns ? right : columns, 0, 0);
    }
}

/* The last outputs may be made twice. */
INLINE void depthwise_line(const channel_line *l, const size_t stride, const size_t columns)
{
    depthwise_end(l, 0, l->first);
    for (size_t o = l->first; o < l->last; o += OUTPUTS) {
        const size_t at = o + OUTPUTS <= l->last ? o : l->last - OUTPUTS;
        const int before = l->before && at == 0, beyond = l->beyond && at + OUTPUTS == l->last;
        depthwise_outputs(l, OUTPUTS, stride, at, 0, columns, before, beyond);
    }
    depthwise_end(l, l->last, l->window->out_width);
}

static void depthwise_block(const sfl_nn_depthwise *d, channel_line *l, const float *image, const float *weights)
{
    const sfl_nn_window *w = &d->window;
    const size_t columns = w->kernel[1], stride = w->stride[1];
    for (size_t o = 0; o < w->out_height; o++, l->out += w->out_width * WIDTH) {
        const size_t line = o * w->stride[0], top = inside(line, w->kernel[0], w->pad[0], w->height, &l->rows);
        l->x = image + top * w->width * WIDTH;
        l->weights = weights + (top + w->pad[0] - line) * columns * WIDTH;
        if (columns == 3 && stride == 1) depthwise_line(l, 1, 3);
        else if (columns == 3 && stride == 2) depthwise_line(l, 2, 3);
        else depthwise_line(l, stride, columns);
    }
}

static void depthwise(const sfl_nn_depthwise *d)
{
    const sfl_nn_window *w = &d->window;
    const size_t blocks = (w->channels + WIDTH - 1) / WIDTH, taps = w->kernel[0] * w->kernel[1];
    channel_line l = {.window = w, .out = d->out, .low = all(d->low), .high = all(d->high)};
    set_ends(&l);
    for (size_t i = 0; i < w->images * blocks; i++) {
        l.bias = load(d->bias + i % blocks * WIDTH);
        depthwise_block(d, &l, d->x + i * w->height * w->width * WIDTH, d->weights + i % blocks * taps * WIDTH);
    }
}

INLINE vec gathered(vec sum, vec x, sfl_nn_pooling kind)
{
    return kind == SFL_NN_MAX ? larger(sum, x) : sum + x;
}

/* The part [top, bottom) x [left, right) of an image. Rows and columns may be constants. */
INLINE vec pooled(const float *image, size_t width, const size_t rows, const size_t columns, sfl_nn_pooling kind)
{
    vec sum = load(image);
    for (size_t y = 0; y < rows; y++) {
        for (size_t x = !y; x < columns; x++) sum = gathered(sum, load(image + (y * width + x) * WIDTH), kind);
    }
    return sum;
}

INLINE void pool_line(const sfl_nn_pool *p, const float *image, size_t line, const sfl_nn_pooling kind, float *out)
{
    const sfl_nn_window *w = &p->window;
    size_t rows, columns;
    const size_t top = inside(line * w->stride[0], w->kernel[0], w->pad[0], w->height, &rows);
    for (size_t c = 0; c < w->out_width; c++, out += WIDTH) {
        const size_t left = inside(c * w->stride[1], w->kernel[1], w->pad[1], w->width, &columns);
        const float *x = image + (top * w->width + left) * WIDTH;
        const vec sum = rows == 3 && columns == 3 ? pooled(x, w->width, 3, 3, kind)
                                                  : pooled(x, w->width, rows, columns, kind);
        const size_t count = kind == SFL_NN_MEAN ? rows * columns : w->kernel[0] * w->kernel[1];
        store(out, kind == SFL_NN_MAX ? sum : sum * (1.0f / (float)count));
    }
}

static void pool(const sfl_nn_pool *p)
{
    const sfl_nn_window *w = &p->window;
    const size_t lines = w->images * ((w->channels + WIDTH - 1) / WIDTH) * w->out_height;
    for (size_t l = 0; l < lines; l++) {
        const float *image = p->x + l / w->out_height * w->height * w->width * WIDTH;
        float *out = p->out + l * w->out_width * WIDTH;
        if (p->kind == SFL_NN_MAX) pool_line(p, image, l % w->out_height, SFL_NN_MAX, out);
        else pool_line(p, image, l % w->out_height, p->kind, out);
    }
}

#endif
