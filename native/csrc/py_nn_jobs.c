/* From buffers and sizes to jobs: every extent of every kind of step is checked here, and nowhere else. */
#include "nn_binding.h"

/* ---- Extents: products saturate, so that an overflow fits no buffer ---- */

size_t sfl_times(size_t a, size_t b)
{
    size_t product;
    return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

size_t sfl_times3(size_t a, size_t b, size_t c)
{
    return sfl_times(sfl_times(a, b), c);
}

size_t sfl_times4(size_t a, size_t b, size_t c, size_t d)
{
    return sfl_times(sfl_times3(a, b, c), d);
}

/* Buffer i has `item`-byte items, and `count` of them (scratch: at least). It does not meet the output. */
int sfl_want(const step *s, int i, const char *name, Py_ssize_t item, size_t count, int at_least)
{
    const Py_buffer *v = &s->view[i];
    if (!v->obj || v->itemsize != item) {
        PyErr_Format(PyExc_ValueError, v->obj ? "%s has not items of %zd bytes" : "%s is missing (%zd)", name, item);
        return -1;
    }
    const size_t have = (size_t)(v->len / item);
    if (at_least ? have < count : have != count) {
        PyErr_Format(PyExc_ValueError, "%s has %zu items, not %zu", name, have, count);
        return -1;
    }
    return i ? sfl_apart(&s->view[0], v, name, 0) : 0;
}

int sfl_floats(const step *s, int i, const char *name, size_t count)
{
    return sfl_want(s, i, name, 4, count, 0);
}

int sfl_refuse(const char *sentence)
{
    PyErr_SetString(PyExc_ValueError, sentence);
    return -1;
}

int sfl_positive(const step *s, int first, int last)
{
    for (int i = first; i <= last; i++) {
        if (s->size[i] == 0) return sfl_refuse("a size that must be at least 1 is 0");
    }
    return 0;
}

/* Only view[0] was asked for as writable: what else is written to must have come so. */
int sfl_writable(const step *s, int i, const char *name, size_t count, int at_least)
{
    if (sfl_want(s, i, name, 4, count, at_least)) return -1;
    return s->view[i].readonly ? sfl_refuse("a buffer that is written to is read-only") : 0;
}

int sfl_nn_scratch(const step *s, int i, size_t count)
{
    const size_t each = s->parts > 1 ? sfl_nn_round_up(count, SFL_NN_SCRATCH_UNIT) : count;
    return sfl_writable(s, i, "scratch", sfl_times(s->parts, each), 1);
}

SFL_RUN(linear)
SFL_RUN(elementwise)
SFL_RUN(activate)
SFL_RUN(softmax)
SFL_RUN_WHOLE(pack)
SFL_RUN(lookup)
SFL_RUN(attention)
SFL_RUN_BY(copy, sfl_nn_copy_rows)
SFL_RUN_BY(locate, sfl_nn_locate_keys)

/* ---- Dense layers: out, x, weights, bias, alpha, scales, scratch; rows, depth, columns, activation; low, high ---- */

static int needs_alpha(sfl_nn_activation activation)
{
    return activation == SFL_NN_PRELU || activation == SFL_NN_DICE;
}

static int fill_linear(step *s)
{
    const size_t rows = s->size[0], depth = s->size[1], columns = s->size[2], panel = 2 * s->backend->width;
    const size_t wide = sfl_nn_round_up(columns, panel);
    const int narrow = s->view[5].obj != NULL;
    if (s->size[3] >= SFL_NN_ACTIVATIONS) return sfl_refuse("no such activation");
    const sfl_nn_activation activation = (sfl_nn_activation)s->size[3];
    if (sfl_positive(s, 0, 2) || sfl_floats(s, 0, "out", sfl_times(rows, columns)) ||
        sfl_floats(s, 1, "x", sfl_times(rows, depth)) ||
        sfl_want(s, 2, "weights", narrow ? 1 : 4, sfl_times(depth, wide), 0) || sfl_floats(s, 3, "bias", wide) ||
        (needs_alpha(activation) && sfl_floats(s, 4, "alpha", columns)) ||
        (narrow && sfl_floats(s, 5, "scales", wide)) || (narrow && sfl_nn_scratch(s, 6, sfl_times(depth, panel))))
        return -1;
    s->run = run_linear;
    s->job.linear = (sfl_nn_linear){.rows = rows,
                                    .depth = depth,
                                    .columns = columns,
                                    .x = s->view[1].buf,
                                    .weights = s->view[2].buf,
                                    .bias = s->view[3].buf,
                                    .alpha = s->view[4].buf,
                                    .scales = s->view[5].buf,
                                    .scratch = s->view[6].buf,
                                    .out = s->view[0].buf,
                                    .low = s->number[0],
                                    .high = s->number[1],
                                    .activation = activation};
    return 0;
}

/* ---- Elementwise and layout ---- */

/* out, a, b; count, repeat, kind; low, high */
static int fill_elementwise(step *s)
{
    const size_t count = s->size[0], repeat = s->size[1];
    if (sfl_positive(s, 0, 1) || count % repeat || s->size[2] >= SFL_NN_BINARIES)
        return sfl_refuse("no such elementwise function");
    if (sfl_floats(s, 0, "out", count) || s->view[1].itemsize != 4 || (size_t)s->view[1].len != 4 * count ||
        sfl_apart(&s->view[0], &s->view[1], "a", 1) || s->view[2].itemsize != 4 ||
        (size_t)s->view[2].len != 4 * repeat || sfl_apart(&s->view[0], &s->view[2], "b", 1))
        return PyErr_Occurred() ? -1 : sfl_refuse("the operands have not the output's size");
    s->job.elementwise = (sfl_nn_elementwise){(sfl_nn_binary)s->size[2],
                                              count,
                                              repeat,
                                              s->view[1].buf,
                                              s->view[2].buf,
                                              s->view[0].buf,
                                              s->number[0],
                                              s->number[1]};
    s->run = run_elementwise;
    return 0;
}

/* x may be the output itself. */
static int rows_in_place(const step *s)
{
    const size_t count = sfl_times(s->size[0], s->size[1]);
    if (sfl_positive(s, 0, 1) || sfl_floats(s, 0, "out", count)) return -1;
    if (s->view[1].itemsize != 4 || (size_t)s->view[1].len != sfl_times(4, count))
        return sfl_refuse("x has not the output's size");
    return sfl_apart(&s->view[0], &s->view[1], "x", 1);
}

/* out, x, alpha; rows, columns, activation; low, high */
static int fill_activate(step *s)
{
    if (s->size[2] >= SFL_NN_ACTIVATIONS) return sfl_refuse("no such activation");
    const sfl_nn_activation activation = (sfl_nn_activation)s->size[2];
    if (rows_in_place(s) || (needs_alpha(activation) && sfl_floats(s, 2, "alpha", s->size[1]))) return -1;
    s->job.activate = (sfl_nn_activate){
        s->size[0],     s->size[1],   s->view[1].buf, needs_alpha(activation) ? s->view[2].buf : NULL,
        s->view[0].buf, s->number[0], s->number[1],   activation};
    s->run = run_activate;
    return 0;
}

/* out, x; rows, columns */
static int fill_softmax(step *s)
{
    if (rows_in_place(s)) return -1;
    s->job.softmax = (sfl_nn_softmax){s->size[0], s->size[1], s->view[1].buf, s->view[0].buf};
    s->run = run_softmax;
    return 0;
}

/* out, x; rows, columns, from row to row of x, of out; where the first row of either starts */
static int fill_copy(step *s)
{
    const size_t rows = s->size[0], columns = s->size[1], x_row = s->size[2], out_row = s->size[3];
    if (sfl_positive(s, 0, 1) || x_row < columns || out_row < columns) return sfl_refuse("the rows of a copy overlap");
    if (sfl_want(s, 0, "out", 4, s->size[5] + sfl_times(rows - 1, out_row) + columns, 1) ||
        sfl_want(s, 1, "x", 4, s->size[4] + sfl_times(rows - 1, x_row) + columns, 1))
        return -1;
    s->job.copy = (sfl_nn_copy){rows,
                                columns,
                                x_row,
                                out_row,
                                (const float *)s->view[1].buf + s->size[4],
                                (float *)s->view[0].buf + s->size[5]};
    s->run = run_copy;
    return 0;
}

/* out, x, index; columns, from row to row of x */
static int fill_pack(step *s)
{
    const size_t columns = s->size[0], row = s->size[1], depth = (size_t)(s->view[2].len / 8);
    const int64_t *index = s->view[2].buf;
    int64_t last = -1;
    if (sfl_positive(s, 0, 0) || sfl_want(s, 2, "index", 8, depth, 0) ||
        sfl_floats(s, 0, "out", sfl_times(depth, sfl_nn_round_up(columns, 2 * s->backend->width))))
        return -1;
    for (size_t k = 0; k < depth; k++) last = index[k] > last ? index[k] : last;
    if (last > INT32_MAX || sfl_want(s, 1, "x", 4, sfl_times(columns - 1, row) + (size_t)(last + 1), 1))
        return PyErr_Occurred() ? -1 : sfl_refuse("index lies outside x");
    s->job.pack = (sfl_nn_pack){columns, depth, row, index, s->view[1].buf, s->view[0].buf};
    s->run = run_pack;
    return 0;
}

/* ---- Rows of tables ---- */

/* Buffers i (rows) and i + 1 (scales of int8 rows); sizes j (rows) and j + 1 (width). */
static int take_table(const step *s, int i, int j, sfl_nn_table *t)
{
    *t = (sfl_nn_table){s->view[i].buf, s->view[i + 1].buf, s->size[j], s->size[j + 1]};
    if (sfl_positive(s, j, j + 1) || sfl_want(s, i, "rows", t->scales ? 1 : 4, sfl_times(t->count, t->width), 0))
        return -1;
    return t->scales ? sfl_floats(s, i + 1, "scales", t->count) : 0;
}

static int take_indices(const step *s, int i, size_t count, sfl_nn_indices *index)
{
    *index = (sfl_nn_indices){s->view[i].buf, s->view[i].itemsize == 8};
    return sfl_want(s, i, "index", index->wide ? 8 : 4, count, 0);
}

/* out, rows, scales, index; count of indices, rows, width */
static int fill_lookup(step *s)
{
    sfl_nn_lookup *l = &s->job.lookup;
    l->count = s->size[0];
    l->out = s->view[0].buf;
    s->run = run_lookup;
    return take_table(s, 1, 1, &l->table) || take_indices(s, 3, l->count, &l->index) ||
                   sfl_floats(s, 0, "out", sfl_times(l->count, l->table.width))
               ? -1
               : 0;
}

/* out, sorted, keys, found; size, count */
static int fill_locate(step *s)
{
    if (sfl_want(s, 0, "out", 8, s->size[1], 0) || sfl_want(s, 1, "sorted", 8, s->size[0], 0) ||
        sfl_want(s, 2, "keys", 8, s->size[1], 0) || (s->view[3].obj && sfl_writable(s, 3, "found", s->size[1], 0)))
        return -1;
    s->job.locate = (sfl_nn_locate){s->view[1].buf, s->view[2].buf, s->size[0],
                                    s->size[1],     s->view[0].buf, s->view[3].buf};
    s->run = run_locate;
    return 0;
}

/* pooled, total, scratch, query, mask, wq, wk, b1, w2, b2, w3, then (rows, scales, index) for each of three tables;
 * samples, history, width, hidden1, hidden2, skip, mean of empty, tables, then (rows, width) of each; b3, scale */
static int fill_attention(step *s)
{
    sfl_nn_attention *a = &s->job.attention;
    const size_t *n = s->size, panel = 2 * s->backend->width;
    if (sfl_positive(s, 0, 4) || n[7] < 1 || n[7] > SFL_NN_TABLES)
        return sfl_refuse("attention takes one to three tables");
    *a = (sfl_nn_attention){.samples = n[0],
                            .history = n[1],
                            .width = n[2],
                            .hidden1 = n[3],
                            .hidden2 = n[4],
                            .tables = n[7],
                            .skip = n[5] != 0,
                            .mean_of_empty = n[6] != 0,
                            .pooled = s->view[0].buf,
                            .total = s->view[1].buf,
                            .scratch = s->view[2].buf,
                            .query = s->view[3].buf,
                            .mask = s->view[4].buf,
                            .wq = s->view[5].buf,
                            .wk = s->view[6].buf,
                            .b1 = s->view[7].buf,
                            .w2 = s->view[8].buf,
                            .b2 = s->view[9].buf,
                            .w3 = s->view[10].buf,
                            .b3 = s->number[0],
                            .scale = s->number[1]};
    const size_t h1 = sfl_nn_round_up(a->hidden1, panel), h2 = sfl_nn_round_up(a->hidden2, panel),
                 rows = sfl_times(a->samples, a->width);
    size_t width = 0;
    for (int t = 0; t < (int)a->tables; t++) {
        if (take_table(s, 11 + 3 * t, 8 + 2 * t, &a->table[t]) ||
            take_indices(s, 13 + 3 * t, sfl_times(a->samples, a->history), &a->index[t]))
            return -1;
        width += a->table[t].width;
    }
    if (width != a->width) return sfl_refuse("the rows of the tables together have not the width of a query");
    if (sfl_times(a->history, 2 * a->width + a->hidden1 + a->hidden2) > SIZE_MAX / 16)
        return sfl_refuse("the history is too long");
    s->run = run_attention;
    return sfl_floats(s, 0, "pooled", rows) || (a->total && sfl_writable(s, 1, "total", rows, 0)) ||
                   sfl_nn_scratch(s, 2, sfl_nn_attention_scratch(a, s->backend->width)) ||
                   sfl_floats(s, 3, "query", rows) || sfl_floats(s, 4, "mask", sfl_times(a->samples, a->history)) ||
                   sfl_floats(s, 5, "wq", sfl_times(a->width, h1)) ||
                   sfl_floats(s, 6, "wk", sfl_times3(2, a->width, h1)) || sfl_floats(s, 7, "b1", h1) ||
                   sfl_floats(s, 8, "w2", sfl_times(a->hidden1, h2)) || sfl_floats(s, 9, "b2", h2) ||
                   sfl_floats(s, 10, "w3", h2)
               ? -1
               : 0;
}

const step_kind sfl_nn_step_kinds[] = {
    {"linear", fill_linear, 7, 4, 2},
    {"conv", sfl_fill_conv, 6, 14, 2},
    {"winograd", sfl_fill_winograd, 8, 16, 2},
    {"strassen", sfl_fill_strassen, 5, 4, 2},
    {"depthwise", sfl_fill_depthwise, 4, 13, 2},
    {"pool", sfl_fill_pool, 2, 14, 0},
    {"elementwise", fill_elementwise, 3, 3, 2},
    {"activate", fill_activate, 3, 3, 2},
    {"softmax", fill_softmax, 2, 2, 0},
    {"convert", sfl_fill_convert, 2, 4, 0},
    {"copy", fill_copy, 2, 6, 0},
    {"pack", fill_pack, 3, 2, 0},
    {"filters", sfl_fill_filters, 3, 4, 0},
    {"lookup", fill_lookup, 4, 3, 0},
    {"locate", fill_locate, 4, 2, 0},
    {"attention", fill_attention, 20, 14, 2},
    {NULL, NULL, 0, 0, 0},
};
