#include <float.h>

#include "binding.h"

#define KEY_BYTES 32
#define DIGEST_BYTES 32
#define TAG_BYTES 16
#define MAX_ROW_BYTES (16 * 65536) /* the block index within a row has 16 bits */

#define ROW sizeof(sfl_mask_backend)

static PyObject *mask_backends(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    return sfl_names(sfl_mask_backends, ROW);
}

static int read_threads(unsigned *threads, PyObject *object)
{
    uint64_t value;
    if (sfl_integer(&value, object, "threads", 1, SFL_MAX_THREADS)) return -1;
    *threads = (unsigned)value;
    return 0;
}

/* ---- What all masks take: a vector, keys of `key_bytes` each, a sign a key ---- */

typedef struct {
    Py_buffer out, keys, subtract;
} mask_views;

static int view_masks(mask_views *v, PyObject *out, int dims, PyObject *keys, Py_ssize_t key_bytes, PyObject *subtract)
{
    return sfl_view(&v->out, out, "out", SFL_WRITE, dims, 0) || sfl_view(&v->keys, keys, "keys", SFL_READ, 1, 1) ||
           sfl_view(&v->subtract, subtract, "subtract", SFL_READ, 1, 1) ||
           sfl_shape(&v->keys, "keys", 0, key_bytes * v->subtract.shape[0]) || sfl_apart(&v->out, &v->keys, "keys", 0) ||
           sfl_apart(&v->out, &v->subtract, "subtract", 0);
}

static void release_masks(mask_views *v)
{
    PyBuffer_Release(&v->out);
    PyBuffer_Release(&v->keys);
    PyBuffer_Release(&v->subtract);
}

static int read_first(uint64_t *first, PyObject *object, const Py_buffer *out)
{
    return sfl_integer(first, object, "first", 0, SFL_MAX_BLOCKS - ((uint64_t)out->len + 15) / 16);
}

static PyObject *add_streams(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    PyObject *out, *keys, *subtract, *first_arg, *threads_arg;
    uint64_t first;
    unsigned threads;
    mask_views v = {0};
    if (!PyArg_ParseTuple(args, "sOOOOO:add_streams", &name, &out, &keys, &subtract, &first_arg, &threads_arg)) return NULL;
    const sfl_mask_backend *backend = sfl_find(sfl_mask_backends, ROW, name);
    int failed = !backend || view_masks(&v, out, 1, keys, KEY_BYTES, subtract) ||
                 read_first(&first, first_arg, &v.out) || read_threads(&threads, threads_arg);
    if (!failed) {
        const sfl_streams job = {
            .out = v.out.buf,
            .bytes = (size_t)v.out.len,
            .word = (size_t)v.out.itemsize,
            .keys = v.keys.buf,
            .subtract = v.subtract.buf,
            .count = (size_t)v.subtract.len,
            .first = first,
        };
        Py_BEGIN_ALLOW_THREADS
        sfl_add_streams(backend, &job, threads);
        Py_END_ALLOW_THREADS
    }
    release_masks(&v);
    return sfl_none(failed);
}

/* ---- Rows ---- */

typedef struct {
    Py_buffer names, index, ends; /* digests or tags; which rows */
} row_views;

/* The numbers of each key ascend and are rows of `out`. */
static int check_index(const Py_buffer *index, const Py_buffer *ends, Py_ssize_t rows)
{
    const int64_t *number = index->buf, *end = ends->buf;
    int64_t at = 0;
    for (Py_ssize_t k = 0; k < ends->shape[0]; k++) {
        int64_t least = 0;
        if (end[k] < at || end[k] > index->shape[0]) {
            PyErr_SetString(PyExc_ValueError, "ends do not cut index into one part a key");
            return -1;
        }
        for (; at < end[k]; least = number[at++] + 1) {
            if (number[at] >= least && number[at] < rows) continue;
            PyErr_SetString(PyExc_ValueError, "index names a row that does not exist, or not in ascending order");
            return -1;
        }
    }
    return 0;
}

static int view_index(row_views *v, const mask_views *masks, PyObject *index, PyObject *ends)
{
    if (index == Py_None && ends == Py_None) return 0;
    return sfl_view(&v->index, index, "index", SFL_READ, 1, 8) || sfl_view(&v->ends, ends, "ends", SFL_READ, 1, 8) ||
           sfl_shape(&v->ends, "ends", 0, masks->subtract.shape[0]) || sfl_apart(&masks->out, &v->index, "index", 0) ||
           sfl_apart(&masks->out, &v->ends, "ends", 0) || check_index(&v->index, &v->ends, masks->out.shape[0]);
}

static int view_rows(row_views *v, const mask_views *masks, PyObject *names, int tagged)
{
    const char *name = tagged ? "tags" : "digests";
    const Py_buffer *out = &masks->out;
    if (sfl_view(&v->names, names, name, SFL_READ, 2, 1) || sfl_shape(&v->names, name, 0, out->shape[0]) ||
        sfl_shape(&v->names, name, 1, tagged ? TAG_BYTES : DIGEST_BYTES) || sfl_apart(out, &v->names, name, 0))
        return -1;
    if (out->shape[1] <= MAX_ROW_BYTES / out->itemsize) return 0;
    PyErr_Format(PyExc_ValueError, "rows of %zd words need more than 2**16 blocks; cut them", out->shape[1]);
    return -1;
}

static void release_rows(row_views *v)
{
    PyBuffer_Release(&v->names);
    PyBuffer_Release(&v->index);
    PyBuffer_Release(&v->ends);
}

static PyObject *add_rows(PyObject *args, int tagged)
{
    const char *name;
    PyObject *out, *keys, *names, *index, *ends, *subtract, *threads_arg;
    unsigned threads;
    mask_views v = {0};
    row_views r = {0};
    if (!PyArg_ParseTuple(args, "sOOOOOOO", &name, &out, &keys, &names, &index, &ends, &subtract, &threads_arg)) return NULL;
    const sfl_mask_backend *backend = sfl_find(sfl_mask_backends, ROW, name);
    int failed = !backend || view_masks(&v, out, 2, keys, tagged ? KEY_BYTES : 2 * KEY_BYTES, subtract) ||
                 view_rows(&r, &v, names, tagged) || view_index(&r, &v, index, ends) ||
                 read_threads(&threads, threads_arg);
    if (!failed) {
        const sfl_row_streams job = {
            .out = v.out.buf,
            .rows = (size_t)v.out.shape[0],
            .bytes = (size_t)(v.out.shape[1] * v.out.itemsize),
            .word = (size_t)v.out.itemsize,
            .digests = tagged ? NULL : r.names.buf,
            .tags = tagged ? r.names.buf : NULL,
            .keys = v.keys.buf,
            .subtract = v.subtract.buf,
            .count = (size_t)v.subtract.len,
            .index = r.index.buf,
            .ends = r.ends.buf,
        };
        Py_BEGIN_ALLOW_THREADS
        sfl_add_row_streams(backend, &job, threads);
        Py_END_ALLOW_THREADS
    }
    release_masks(&v);
    release_rows(&r);
    return sfl_none(failed);
}

static PyObject *add_row_streams(PyObject *Py_UNUSED(module), PyObject *args)
{
    return add_rows(args, 0);
}

static PyObject *add_tagged_rows(PyObject *Py_UNUSED(module), PyObject *args)
{
    return add_rows(args, 1);
}

/* ---- Quantization ---- */

typedef struct {
    Py_buffer out, values, weights;
    sfl_quantization job;
} quantize_views;

static int view_values(quantize_views *v, PyObject *out, PyObject *values, PyObject *weights)
{
    return sfl_view(&v->values, values, "values", SFL_READ, 2, 0) || sfl_view(&v->out, out, "out", SFL_WRITE, 2, 0) ||
           sfl_view(&v->weights, weights, "weights", SFL_READ, 1, 4) ||
           sfl_shape(&v->out, "out", 0, v->values.shape[0]) || sfl_shape(&v->out, "out", 1, v->values.shape[1] + 1) ||
           sfl_shape(&v->weights, "weights", 0, v->values.shape[0]) || sfl_apart(&v->out, &v->values, "values", 0) ||
           sfl_apart(&v->out, &v->weights, "weights", 0);
}

static int read_levels(quantize_views *v, double clip, PyObject *levels_arg)
{
    uint64_t levels;
    if (sfl_integer(&levels, levels_arg, "levels", 1, INT32_MAX)) return -1;
    if (!(clip > 0 && clip <= DBL_MAX)) {
        PyErr_SetString(PyExc_ValueError, "clip is no finite number above 0");
        return -1;
    }
    v->job = (sfl_quantization){
        .out = v->out.buf,
        .word = (size_t)v->out.itemsize,
        .values = v->values.buf,
        .real = (size_t)v->values.itemsize,
        .weights = v->weights.buf,
        .rows = (size_t)v->values.shape[0],
        .width = (size_t)v->values.shape[1],
        .clip = clip,
        .levels = (double)levels,
    };
    return 0;
}

static PyObject *finite_or_not(quantize_views *v, int failed, int finite)
{
    PyBuffer_Release(&v->out);
    PyBuffer_Release(&v->values);
    PyBuffer_Release(&v->weights);
    return failed ? NULL : PyBool_FromLong(finite);
}

static PyObject *quantize(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *out, *values, *weights, *levels, *draws_arg;
    double clip;
    int finite = 0;
    quantize_views v = {0};
    Py_buffer draws = {0};
    if (!PyArg_ParseTuple(args, "OOOdOO:quantize", &out, &values, &weights, &clip, &levels, &draws_arg)) return NULL;
    int failed = view_values(&v, out, values, weights) || read_levels(&v, clip, levels) ||
                 sfl_view(&draws, draws_arg, "draws", SFL_READ, 2, 4) ||
                 sfl_shape(&draws, "draws", 0, v.values.shape[0]) || sfl_shape(&draws, "draws", 1, v.values.shape[1]) ||
                 sfl_apart(&v.out, &draws, "draws", 0);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        finite = sfl_quantize(&v.job, draws.buf);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&draws);
    return finite_or_not(&v, failed, finite);
}

static PyObject *quantize_stream(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    PyObject *out, *values, *weights, *levels, *key_arg;
    double clip;
    int finite = 0;
    quantize_views v = {0};
    Py_buffer key = {0};
    if (!PyArg_ParseTuple(args, "sOOOdOO:quantize_stream", &name, &out, &values, &weights, &clip, &levels, &key_arg))
        return NULL;
    const sfl_mask_backend *backend = sfl_find(sfl_mask_backends, ROW, name);
    int failed = !backend || view_values(&v, out, values, weights) || read_levels(&v, clip, levels) ||
                 sfl_view(&key, key_arg, "key", SFL_READ, 1, 1) || sfl_shape(&key, "key", 0, KEY_BYTES) ||
                 sfl_apart(&v.out, &key, "key", 0);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        finite = sfl_quantize_stream(backend, &v.job, key.buf);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&key);
    return finite_or_not(&v, failed, finite);
}

/* ---- Packing ---- */

static int packed_size(Py_ssize_t *bytes, Py_ssize_t count, uint64_t bits)
{
    if (count > PY_SSIZE_T_MAX / 64) {
        PyErr_SetString(PyExc_OverflowError, "too many values to pack");
        return -1;
    }
    *bytes = (count * (Py_ssize_t)bits + 7) / 8;
    return 0;
}

static PyObject *pack_backends(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    return sfl_names(sfl_pack_backends, sizeof *sfl_pack_backends);
}

static PyObject *pack(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    PyObject *values_arg, *bits_arg, *packed = NULL;
    Py_buffer values = {0};
    uint64_t bits;
    Py_ssize_t bytes;
    if (!PyArg_ParseTuple(args, "zOO:pack", &name, &values_arg, &bits_arg)) return NULL;
    const sfl_pack_backend *backend = sfl_find(sfl_pack_backends, sizeof *backend, name);
    int failed = !backend || sfl_integer(&bits, bits_arg, "bits", 1, 64) || sfl_view(&values, values_arg, "values", SFL_READ, 1, 0) ||
                 packed_size(&bytes, values.shape[0], bits) || !(packed = PyBytes_FromStringAndSize(NULL, bytes));
    if (!failed) {
        uint8_t *out = (uint8_t *)PyBytes_AsString(packed);
        const size_t count = (size_t)values.shape[0];
        Py_BEGIN_ALLOW_THREADS
        backend->pack(out, values.buf, (size_t)values.itemsize, count, (unsigned)bits);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&values);
    return packed;
}

/* The bits of the last byte that no value uses. */
static int check_padding(const uint8_t *data, Py_ssize_t bytes, Py_ssize_t count, uint64_t bits)
{
    const unsigned used = (unsigned)((uint64_t)count * bits % 8);
    if (used == 0 || data[bytes - 1] >> used == 0) return 0;
    PyErr_SetString(PyExc_ValueError, "padding bits are not zero");
    return -1;
}

static PyObject *unpack(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    PyObject *out_arg, *data_arg, *bits_arg;
    Py_buffer out = {0}, data = {0};
    uint64_t bits;
    Py_ssize_t bytes;
    if (!PyArg_ParseTuple(args, "zOOO:unpack", &name, &out_arg, &data_arg, &bits_arg)) return NULL;
    const sfl_pack_backend *backend = sfl_find(sfl_pack_backends, sizeof *backend, name);
    int failed = !backend || sfl_view(&out, out_arg, "out", SFL_WRITE, 1, 0) ||
                 sfl_integer(&bits, bits_arg, "bits", 1, 8 * (uint64_t)out.itemsize) ||
                 sfl_view(&data, data_arg, "data", SFL_READ, 1, 1) || packed_size(&bytes, out.shape[0], bits) ||
                 sfl_shape(&data, "data", 0, bytes) || check_padding(data.buf, bytes, out.shape[0], bits) ||
                 sfl_apart(&out, &data, "data", 0);
    if (!failed) {
        const size_t count = (size_t)out.shape[0];
        Py_BEGIN_ALLOW_THREADS
        backend->unpack(out.buf, data.buf, (size_t)out.itemsize, count, (unsigned)bits);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&out);
    PyBuffer_Release(&data);
    return sfl_none(failed);
}

PyMethodDef sfl_ring_methods[] = {
    {"mask_backends", mask_backends, METH_NOARGS, PyDoc_STR("mask_backends()\n--\n\nUsable here, best first.")},
    {"add_streams", add_streams, METH_VARARGS,
     PyDoc_STR("add_streams(backend, out, keys, subtract, first, threads, /)\n--\n\nIn place.")},
    {"add_row_streams", add_row_streams, METH_VARARGS,
     PyDoc_STR("add_row_streams(backend, out, keys, digests, index, ends, subtract, threads, /)\n--\n\nIn place.")},
    {"add_tagged_rows", add_tagged_rows, METH_VARARGS,
     PyDoc_STR("add_tagged_rows(backend, out, keys, tags, index, ends, subtract, threads, /)\n--\n\nIn place.")},
    {"quantize", quantize, METH_VARARGS,
     PyDoc_STR("quantize(out, values, weights, clip, levels, draws, /)\n--\n\nFalse when a value is not finite.")},
    {"quantize_stream", quantize_stream, METH_VARARGS,
     PyDoc_STR("quantize_stream(backend, out, values, weights, clip, levels, key, /)\n--\n\nDraws from a stream.")},
    {"pack_backends", pack_backends, METH_NOARGS, PyDoc_STR("pack_backends()\n--\n\nUsable here, best first.")},
    {"pack", pack, METH_VARARGS, PyDoc_STR("pack(backend, values, bits, /)\n--\n\nLeast significant bit first.")},
    {"unpack", unpack, METH_VARARGS, PyDoc_STR("unpack(backend, out, data, bits, /)\n--\n\nThe way back.")},
    {NULL, NULL, 0, NULL},
};
