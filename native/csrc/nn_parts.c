#include "nn_parts.h"

enum { LINE = 16 }; /* floats of a cache line: no two threads write to the same one */

typedef struct {
    size_t first, count;
} range;

/* This part of `count` items, in whole units. */
static range share_of(size_t count, size_t unit, const sfl_nn_cut *cut)
{
    const size_t units = (count + unit - 1) / unit;
    const size_t first = units * cut->part / cut->parts * unit, end = units * (cut->part + 1) / cut->parts * unit;
    return (range){first, (end < count ? end : count) - first};
}

static size_t scratch_at(size_t floats, const sfl_nn_cut *cut)
{
    return cut->part * sfl_nn_round_up(floats, SFL_NN_SCRATCH_UNIT);
}

/* ---- Layers ---- */

int sfl_nn_cut_linear(sfl_nn_linear *l, const sfl_nn_cut *cut)
{
    const size_t panel = 2 * cut->width;
    if (l->scales) l->scratch += scratch_at(l->depth * panel, cut);
    if (l->rows > 1) {
        const range rows = share_of(l->rows, 1, cut);
        l->x += rows.first * l->depth;
        l->out += rows.first * l->columns;
        l->rows = rows.count;
        return rows.count > 0;
    }
    const range columns = share_of(l->columns, panel, cut);
    l->weights = (const char *)l->weights + columns.first * l->depth * (l->scales ? 1 : 4);
    if (l->scales) l->scales += columns.first;
    if (l->alpha) l->alpha += columns.first;
    l->bias += columns.first;
    l->out += columns.first;
    l->columns = columns.count;
    return columns.count > 0;
}

int sfl_nn_cut_elementwise(sfl_nn_elementwise *e, const sfl_nn_cut *cut)
{
    const int once = e->repeat == e->count; /* else b is there for everybody */
    const range items = once ? share_of(e->count, LINE, cut) : share_of(e->count / e->repeat, 1, cut);
    const size_t unit = once ? 1 : e->repeat;
    e->a += items.first * unit;
    e->out += items.first * unit;
    e->count = items.count * unit;
    if (once) {
        e->b += items.first;
        e->repeat = e->count;
    }
    return items.count > 0;
}

int sfl_nn_cut_activate(sfl_nn_activate *a, const sfl_nn_cut *cut)
{
    const range rows = share_of(a->rows, 1, cut), columns = share_of(a->columns, LINE, cut);
    const size_t first = a->rows > 1 ? rows.first * a->columns : columns.first;
    a->x += first;
    a->out += first;
    if (a->rows > 1) {
        a->rows = rows.count;
        return rows.count > 0;
    }
    if (a->alpha) a->alpha += first;
    a->columns = columns.count;
    return columns.count > 0;
}

int sfl_nn_cut_softmax(sfl_nn_softmax *s, const sfl_nn_cut *cut)
{
    const range rows = share_of(s->rows, 1, cut);
    s->x += rows.first * s->columns;
    s->out += rows.first * s->columns;
    s->rows = rows.count;
    return rows.count > 0;
}

int sfl_nn_cut_copy(sfl_nn_copy *c, const sfl_nn_cut *cut)
{
    const range rows = share_of(c->rows, 1, cut), columns = share_of(c->columns, LINE, cut);
    if (c->rows > 1) {
        c->x += rows.first * c->x_row;
        c->out += rows.first * c->out_row;
        c->rows = rows.count;
        return rows.count > 0;
    }
    c->x += columns.first;
    c->out += columns.first;
    c->columns = columns.count;
    return columns.count > 0;
}

/* ---- Images: whole images where there are several; else blocks of channels, or lines ---- */

/* Images if there are several (1), else channels, in units (0). */
static int cut_blocks(size_t images, size_t channels, size_t unit, const sfl_nn_cut *cut, range *part)
{
    *part = images > 1 ? share_of(images, 1, cut) : share_of(channels, unit, cut);
    return images > 1;
}

int sfl_nn_cut_convert(sfl_nn_convert *c, const sfl_nn_cut *cut)
{
    const size_t blocked = sfl_nn_round_up(c->channels, cut->width) * c->pixels, planar = c->channels * c->pixels;
    range part;
    if (cut_blocks(c->images, c->channels, cut->width, cut, &part)) {
        c->x += part.first * (c->to_blocked ? planar : blocked);
        c->out += part.first * (c->to_blocked ? blocked : planar);
        c->images = part.count;
    } else {
        c->x += part.first * c->pixels;
        c->out += part.first * c->pixels;
        c->channels = part.count;
    }
    return part.count > 0;
}

/* Floats of an image before and after, or of a channel of it. */
typedef struct {
    size_t in, out;
} strides;

/* Cuts the window of a kernel that has an output for every channel; what a part skips of x and of the outputs. */
static range cut_channels(sfl_nn_window *w, const sfl_nn_cut *cut, strides *skip)
{
    const size_t before = w->height * w->width, after = w->out_height * w->out_width;
    const size_t lanes = sfl_nn_round_up(w->channels, cut->width);
    range part;
    if (cut_blocks(w->images, w->channels, cut->width, cut, &part)) {
        *skip = (strides){part.first * lanes * before, part.first * lanes * after};
        w->images = part.count;
    } else {
        *skip = (strides){part.first * before, part.first * after};
        w->channels = w->out_channels = part.count;
    }
    return part;
}

int sfl_nn_cut_depthwise(sfl_nn_depthwise *d, const sfl_nn_cut *cut)
{
    const int several = d->window.images > 1;
    strides skip;
    const range part = cut_channels(&d->window, cut, &skip);
    d->x += skip.in;
    d->out += skip.out;
    if (!several) {
        d->weights += part.first * d->window.kernel[0] * d->window.kernel[1];
        d->bias += part.first;
    }
    return part.count > 0;
}

int sfl_nn_cut_pool(sfl_nn_pool *p, const sfl_nn_cut *cut)
{
    strides skip;
    const range part = cut_channels(&p->window, cut, &skip);
    p->x += skip.in;
    p->out += skip.out;
    return part.count > 0;
}

static strides image_floats(const sfl_nn_window *w, size_t lanes, size_t width)
{
    return (strides){sfl_nn_round_up(w->channels, lanes) * w->height * w->width,
                     sfl_nn_round_up(w->out_channels, width) * w->out_height * w->out_width};
}

/* Whoever has fewer filters reads fewer weights: that pays where there are more weights than pixels. */
static int by_filters(const sfl_nn_window *w, size_t rows, const sfl_nn_cut *cut)
{
    return w->out_channels > rows && w->out_channels >= 2 * cut->width * cut->parts;
}

int sfl_nn_cut_conv(sfl_nn_conv *c, const sfl_nn_cut *cut)
{
    sfl_nn_window *w = &c->window;
    const size_t lanes = c->planar ? 1 : cut->width, pixels = w->out_height * w->out_width;
    const size_t depth = sfl_nn_round_up(w->channels, lanes) * w->kernel[0] * w->kernel[1];
    const strides image = image_floats(w, lanes, cut->width);
    c->scratch += cut->part * c->scratch_floats;
    range part;
    if (w->images > 1) {
        part = share_of(w->images, 1, cut);
        c->x += part.first * image.in;
        c->out += part.first * image.out;
        if (c->add) c->add += part.first * image.out;
        w->images = part.count;
    } else if (by_filters(w, pixels, cut)) {
        part = share_of(w->out_channels, 2 * cut->width, cut);
        c->weights += part.first * depth;
        c->bias += part.first;
        c->out += part.first * pixels;
        if (c->add) c->add += part.first * pixels;
        w->out_channels = part.count;
    } else {
        part = share_of(c->lines, 1, cut);
        c->first += part.first;
        c->lines = part.count;
    }
    return part.count > 0;
}

int sfl_nn_cut_winograd(sfl_nn_winograd *g, const sfl_nn_cut *cut)
{
    sfl_nn_window *w = &g->window;
    const size_t pixels = w->out_height * w->out_width, depth = sfl_nn_round_up(w->channels, cut->width);
    const strides image = image_floats(w, cut->width, cut->width);
    g->scratch += scratch_at(sfl_nn_winograd_scratch(g, cut->width), cut);
    range part;
    if (w->images > 1) {
        part = share_of(w->images, 1, cut);
        g->x += part.first * image.in;
        g->out += part.first * image.out;
        if (g->add) g->add += part.first * image.out;
        w->images = part.count;
    } else if (by_filters(w, g->count, cut)) {
        part = share_of(w->out_channels, 2 * cut->width, cut);
        g->weights += part.first * depth;
        g->bias += part.first;
        g->out += part.first * pixels;
        if (g->add) g->add += part.first * pixels;
        w->out_channels = part.count;
    } else {
        part = share_of(g->count, 1, cut);
        g->first += part.first;
        g->count = part.count;
    }
    return part.count > 0;
}

int sfl_nn_cut_strassen(sfl_nn_strassen *s, const sfl_nn_cut *cut)
{
    (void)s;
    return cut->part == 0;
}

/* ---- Rows of tables ---- */

static void skip_indices(sfl_nn_indices *index, size_t count)
{
    index->items = (const char *)index->items + count * (index->wide ? 8 : 4);
}

int sfl_nn_cut_lookup(sfl_nn_lookup *l, const sfl_nn_cut *cut)
{
    const range items = share_of(l->count, 1, cut);
    skip_indices(&l->index, items.first);
    l->out += items.first * l->table.width;
    l->count = items.count;
    return items.count > 0;
}

int sfl_nn_cut_locate(sfl_nn_locate *l, const sfl_nn_cut *cut)
{
    const range keys = share_of(l->count, LINE, cut);
    l->keys += keys.first;
    l->out += keys.first;
    if (l->found) l->found += keys.first;
    l->count = keys.count;
    return keys.count > 0;
}

int sfl_nn_cut_attention(sfl_nn_attention *a, const sfl_nn_cut *cut)
{
    const range samples = share_of(a->samples, 1, cut);
    a->scratch += scratch_at(sfl_nn_attention_scratch(a, cut->width), cut);
    a->query += samples.first * a->width;
    a->pooled += samples.first * a->width;
    if (a->total) a->total += samples.first * a->width;
    a->mask += samples.first * a->history;
    for (size_t t = 0; t < a->tables; t++) skip_indices(&a->index[t], samples.first * a->history);
    a->samples = samples.count;
    return samples.count > 0;
}
