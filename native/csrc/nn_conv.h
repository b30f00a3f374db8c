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

/* One image. A product whose A needs no padding and skips no pixel has no lines: its rows are the pixels. */
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
                     .a = x,
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
    if (!padded && taps == blocks && w->stride[0] == 1 && w->stride[1] == 1) {
        at_once = g.lines = 1;
        g.rows = pixels;
    }
    const size_t lines = g.lines;
    for (size_t l = 0; l < lines; l += at_once) {
        if (padded) copy_strip(buffer, x, w, &s, (ptrdiff_t)(l * w->stride[0]) - (ptrdiff_t)w->pad[0]);
        g.lines = lines - l < at_once ? lines - l : at_once;
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

/* Four outputs of a line at a time where the whole window lies inside; at the edges one, with what is there. */
INLINE void depthwise_outputs(const sfl_nn_window *w, const size_t count, const size_t columns, const float *x,
                              const float *weights, vec *sum, const size_t *rows, size_t left, size_t right)
{
    for (size_t y = rows[0]; y < rows[1]; y++) {
        for (size_t k = left; k < right; k++) {
            const vec weight = load(weights + (y * columns + k) * WIDTH);
            UNROLL
            for (size_t i = 0; i < count; i++) {
                sum[i] += weight * load(x + ((y - rows[0]) * w->width + i * w->stride[1] + k - left) * WIDTH);
            }
        }
    }
}

enum { OUTPUTS = 7 };

INLINE void depthwise_line(const sfl_nn_depthwise *d, const size_t columns, const float *image, const float *weights,
                           vec bias, size_t line, float *out)
{
    const sfl_nn_window *w = &d->window;
    const size_t top = line * w->stride[0], stride = w->stride[1], pad = w->pad[1];
    const size_t from = top < w->pad[0] ? w->pad[0] - top : 0, below = w->height + w->pad[0] - top;
    const size_t rows[2] = {from, below < w->kernel[0] ? below : w->kernel[0]};
    const float *x = image + (top + from - w->pad[0]) * w->width * WIDTH;
    const vec low = all(d->low), high = all(d->high);
    for (size_t o = 0; o < w->out_width;) {
        const size_t first = o * stride;
        vec sum[OUTPUTS];
        if (first >= pad && o + OUTPUTS <= w->out_width && first + (OUTPUTS - 1) * stride + columns <= w->width + pad) {
            UNROLL
            for (size_t i = 0; i < OUTPUTS; i++) sum[i] = bias;
            depthwise_outputs(w, OUTPUTS, columns, x + (first - pad) * WIDTH, weights, sum, rows, 0, columns);
            UNROLL
            for (size_t i = 0; i < OUTPUTS; i++) store(out + (o + i) * WIDTH, clamp(sum[i], low, high));
            o += OUTPUTS;
        } else {
            const size_t left = first < pad ? pad - first : 0, beyond = w->width + pad - first;
            sum[0] = bias;
            depthwise_outputs(w, 1, columns, x + (first + left - pad) * WIDTH, weights, sum, rows, left,
                              beyond < columns ? beyond : columns);
            store(out + o++ * WIDTH, clamp(sum[0], low, high));
        }
    }
}

static void depthwise(const sfl_nn_depthwise *d)
{
    const sfl_nn_window *w = &d->window;
    const size_t blocks = (w->channels + WIDTH - 1) / WIDTH, taps = w->kernel[0] * w->kernel[1];
    for (size_t i = 0; i < w->images * blocks; i++) {
        const float *image = d->x + i * w->height * w->width * WIDTH, *weights = d->weights + i % blocks * taps * WIDTH;
        const vec bias = load(d->bias + i % blocks * WIDTH);
        for (size_t l = 0; l < w->out_height; l++) {
            float *out = d->out + (i * w->out_height + l) * w->out_width * WIDTH;
            if (w->kernel[1] == 3) depthwise_line(d, 3, image, weights, bias, l, out);
            else depthwise_line(d, w->kernel[1], image, weights, bias, l, out);
        }
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

/* What of a window along one axis lies inside: where it starts, and how long it is. */
INLINE size_t inside(size_t at, size_t kernel, size_t pad, size_t size, size_t *length)
{
    const size_t start = at < pad ? pad - at : 0, end = size + pad - at;
    *length = (end < kernel ? end : kernel) - start;
    return at + start - pad;
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
