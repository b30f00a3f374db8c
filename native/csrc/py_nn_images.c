/* Jobs over images: windows that slide, and layouts. */
#include "nn_binding.h"

SFL_RUN(conv)
SFL_RUN(winograd)
SFL_RUN(strassen)
SFL_RUN(depthwise)
SFL_RUN(pool)
SFL_RUN(convert)
SFL_RUN_WHOLE(filters)

/* ---- Windows: images, channels, height, width, out channels, height, width, kernel, stride, padding (2 each) ---- */

static int take_window(const step *s, sfl_nn_window *w)
{
    const size_t *n = s->size;
    if (sfl_positive(s, 0, 10)) return -1;
    *w = (sfl_nn_window){n[0], n[1], n[2], n[3], n[4], n[5], n[6], {n[7], n[8]}, {n[9], n[10]}, {n[11], n[12]}};
    for (int axis = 0; axis < 2; axis++) {
        const size_t in = axis ? w->width : w->height, out = axis ? w->out_width : w->out_height;
        if (w->pad[axis] >= w->kernel[axis] || sfl_times(out - 1, w->stride[axis]) >= in + w->pad[axis])
            return sfl_refuse("a window of the kernel lies outside the image");
    }
    return 0;
}

static size_t image_floats(const sfl_nn_window *w, size_t channels)
{
    return sfl_times4(w->images, channels, w->height, w->width);
}

static size_t out_floats(const sfl_nn_window *w, size_t unit)
{
    return sfl_times4(w->images, sfl_nn_round_up(w->out_channels, unit), w->out_height, w->out_width);
}

/* `add` may be the output itself. */
static int check_add(const step *s, int i, size_t count)
{
    if (!s->view[i].obj) return 0;
    if ((size_t)s->view[i].len != sfl_times(4, count) || s->view[i].itemsize != 4)
        return sfl_refuse("add has not the output's size");
    return sfl_apart(&s->view[0], &s->view[i], "add", 1);
}

/* out, x, weights, bias, add, scratch; the window, planar; low, high */
int sfl_fill_conv(step *s)
{
    sfl_nn_conv *c = &s->job.conv;
    if (take_window(s, &c->window)) return -1;
    const sfl_nn_window *w = &c->window;
    const size_t unit = s->backend->width, panels = sfl_nn_round_up(w->out_channels, 2 * unit);
    c->planar = s->size[13] != 0;
    const size_t depth = c->planar ? w->channels : sfl_nn_round_up(w->channels, unit);
    const size_t scratch = s->view[5].obj ? (size_t)s->view[5].len / 4 : 0, each = scratch / s->parts;
    c->scratch_floats = s->parts > 1 ? each - each % SFL_NN_SCRATCH_UNIT : scratch;
    c->lines = w->out_height;
    if (sfl_floats(s, 0, "out", out_floats(w, unit)) || sfl_floats(s, 1, "x", image_floats(w, depth)) ||
        sfl_floats(s, 2, "weights", sfl_times4(depth, w->kernel[0], w->kernel[1], panels)) ||
        sfl_floats(s, 3, "bias", panels) || check_add(s, 4, out_floats(w, unit)) ||
        sfl_nn_scratch(s, 5, sfl_nn_conv_scratch(c, unit)))
        return -1;
    if ((uintptr_t)s->view[5].buf % sizeof(ptrdiff_t)) return sfl_refuse("scratch is not aligned to 8 bytes");
    c->x = s->view[1].buf;
    c->weights = s->view[2].buf;
    c->bias = s->view[3].buf;
    c->add = s->view[4].buf;
    c->out = s->view[0].buf;
    c->scratch = s->view[5].buf;
    c->low = s->number[0];
    c->high = s->number[1];
    s->run = run_conv;
    return 0;
}

/* out, x, weights, bias, add, scratch, input, output; the window, tile, pairs, tiles; low, high */
int sfl_fill_winograd(step *s)
{
    sfl_nn_winograd *g = &s->job.winograd;
    if (take_window(s, &g->window) || sfl_positive(s, 13, 13) || sfl_positive(s, 15, 15)) return -1;
    const sfl_nn_window *w = &g->window;
    const size_t unit = s->backend->width, panels = sfl_nn_round_up(w->out_channels, 2 * unit);
    g->tile = s->size[13];
    g->size = g->tile + w->kernel[0] - 1;
    g->pairs = s->size[14];
    g->tiles = s->size[15];
    if (w->kernel[0] != w->kernel[1] || w->stride[0] != 1 || w->stride[1] != 1)
        return sfl_refuse("Winograd needs a square kernel and stride 1");
    if (g->size > SFL_NN_MAX_SIZE || 2 * g->pairs + 1 > g->size) return sfl_refuse("the Winograd tile is too large");
    if (sfl_floats(s, 0, "out", out_floats(w, unit)) ||
        sfl_floats(s, 1, "x", image_floats(w, sfl_nn_round_up(w->channels, unit))) ||
        sfl_floats(s, 2, "weights", sfl_times4(g->size, g->size, sfl_nn_round_up(w->channels, unit), panels)) ||
        sfl_floats(s, 3, "bias", panels) || check_add(s, 4, out_floats(w, unit)) ||
        sfl_times3(g->tiles, g->size * g->size, sfl_nn_round_up(w->channels, unit) + panels) > SIZE_MAX / 8 ||
        sfl_nn_scratch(s, 5, sfl_nn_winograd_scratch(g, unit)) || sfl_floats(s, 6, "input", g->size * g->size) ||
        sfl_floats(s, 7, "output", g->tile * g->size))
        return -1;
    if ((uintptr_t)s->view[5].buf % sizeof(ptrdiff_t)) return sfl_refuse("scratch is not aligned to 8 bytes");
    g->x = s->view[1].buf;
    g->weights = s->view[2].buf;
    g->bias = s->view[3].buf;
    g->add = s->view[4].buf;
    g->out = s->view[0].buf;
    g->scratch = s->view[5].buf;
    g->input = s->view[6].buf;
    g->output = s->view[7].buf;
    g->low = s->number[0];
    g->high = s->number[1];
    g->plane = sfl_nn_round_up(w->channels, unit) * panels;
    g->count = ((w->out_height + g->tile - 1) / g->tile) * ((w->out_width + g->tile - 1) / g->tile);
    s->run = run_winograd;
    return 0;
}

/* out, x, weights, bias, scratch; images, channels, filters, pixels; low, high */
int sfl_fill_strassen(step *s)
{
    const size_t *n = s->size, unit = s->backend->width;
    sfl_nn_strassen *job = &s->job.strassen;
    if (sfl_positive(s, 0, 3)) return -1;
    if (n[1] % (2 * unit) || n[2] % (2 * unit) || n[3] % 2) return sfl_refuse("Strassen's product needs even halves");
    *job = (sfl_nn_strassen){n[0],           n[1],           n[2],           n[3],
                             s->view[1].buf, s->view[2].buf, s->view[3].buf, s->view[0].buf,
                             s->view[4].buf, s->number[0],   s->number[1]};
    if (sfl_floats(s, 0, "out", sfl_times3(n[0], n[2], n[3])) || sfl_floats(s, 1, "x", sfl_times3(n[0], n[1], n[3])) ||
        sfl_floats(s, 2, "weights", sfl_times3(7, n[1] / 2, sfl_nn_round_up(n[2] / 2, 2 * unit))) ||
        sfl_floats(s, 3, "bias", sfl_nn_round_up(n[2], 2 * unit)) ||
        sfl_nn_scratch(s, 4, sfl_nn_strassen_scratch(job, unit)))
        return -1;
    if ((uintptr_t)s->view[4].buf % sizeof(ptrdiff_t)) return sfl_refuse("scratch is not aligned to 8 bytes");
    s->run = run_strassen;
    return 0;
}

/* out, x, weights, bias; the window; low, high */
int sfl_fill_depthwise(step *s)
{
    sfl_nn_depthwise *d = &s->job.depthwise;
    if (take_window(s, &d->window)) return -1;
    const sfl_nn_window *w = &d->window;
    const size_t channels = sfl_nn_round_up(w->channels, s->backend->width);
    if (w->channels != w->out_channels) return sfl_refuse("a depthwise convolution has as many filters as channels");
    if (sfl_floats(s, 0, "out", out_floats(w, s->backend->width)) || sfl_floats(s, 1, "x", image_floats(w, channels)) ||
        sfl_floats(s, 2, "weights", sfl_times3(channels, w->kernel[0], w->kernel[1])) ||
        sfl_floats(s, 3, "bias", channels))
        return -1;
    d->x = s->view[1].buf;
    d->weights = s->view[2].buf;
    d->bias = s->view[3].buf;
    d->out = s->view[0].buf;
    d->low = s->number[0];
    d->high = s->number[1];
    s->run = run_depthwise;
    return 0;
}

/* out, x; the window, kind */
int sfl_fill_pool(step *s)
{
    sfl_nn_pool *p = &s->job.pool;
    if (take_window(s, &p->window)) return -1;
    const sfl_nn_window *w = &p->window;
    if (w->channels != w->out_channels || s->size[13] >= SFL_NN_POOLS) return sfl_refuse("no such pooling");
    if (sfl_floats(s, 0, "out", out_floats(w, s->backend->width)) ||
        sfl_floats(s, 1, "x", image_floats(w, sfl_nn_round_up(w->channels, s->backend->width))))
        return -1;
    p->kind = (sfl_nn_pooling)s->size[13];
    p->x = s->view[1].buf;
    p->out = s->view[0].buf;
    s->run = run_pool;
    return 0;
}

/* out, x; images, channels, pixels, to blocked */
int sfl_fill_convert(step *s)
{
    const size_t planar = sfl_times3(s->size[0], s->size[1], s->size[2]);
    const size_t blocked = sfl_times3(s->size[0], sfl_nn_round_up(s->size[1], s->backend->width), s->size[2]);
    const int to_blocked = s->size[3] != 0;
    if (sfl_positive(s, 0, 2) || sfl_floats(s, 0, "out", to_blocked ? blocked : planar) ||
        sfl_floats(s, 1, "x", to_blocked ? planar : blocked))
        return -1;
    s->job.convert = (sfl_nn_convert){s->size[0], s->size[1], s->size[2], to_blocked, s->view[1].buf, s->view[0].buf};
    s->run = run_convert;
    return 0;
}

/* out, weights, matrix; filters, channels, kernel, size */
int sfl_fill_filters(step *s)
{
    const size_t filters = s->size[0], channels = s->size[1], kernel = s->size[2], size = s->size[3];
    const size_t unit = s->backend->width;
    if (sfl_positive(s, 0, 3)) return -1;
    if (size > SFL_NN_MAX_SIZE || kernel > size) return sfl_refuse("the Winograd tile is too large");
    if (sfl_floats(s, 0, "out",
                   sfl_times4(size, size, sfl_nn_round_up(channels, unit), sfl_nn_round_up(filters, 2 * unit))) ||
        sfl_floats(s, 1, "weights", sfl_times4(filters, channels, kernel, kernel)) ||
        sfl_floats(s, 2, "matrix", size * kernel))
        return -1;
    s->job.filters = (sfl_nn_filters){filters, channels, kernel, size, s->view[2].buf, s->view[1].buf, s->view[0].buf};
    s->run = run_filters;
    return 0;
}
