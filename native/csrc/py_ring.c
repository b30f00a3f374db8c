#include "binding.h"

#define KEY_BYTES 32
#define DIGEST_BYTES 32
#define MAX_ROW_BYTES (16 * 65536) /* the block index within a row has 16 bits */

static const sfl_mask_backend *find_backend(const char *name)
{
    for (const sfl_mask_backend *b = sfl_mask_backends; b->name; b++) {
        if (strcmp(b->name, name) == 0 && b->usable()) return b;
    }
    PyErr_Format(PyExc_ValueError, "no backend \"%s\" on this machine", name);
    return NULL;
}

static PyObject *mask_backends(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    PyObject *names = PyList_New(0);
    for (const sfl_mask_backend *b = sfl_mask_backends; names && b->name; b++) {
        PyObject *name = b->usable() ? PyUnicode_FromString(b->name) : Py_NewRef(Py_None);
        if (!name || (name != Py_None && PyList_Append(names, name) < 0)) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

static int view_key(Py_buffer *view, PyObject *object, const char *name)
{
    return sfl_view(view, object, name, SFL_READ, 1, 1) || sfl_shape(view, name, 0, KEY_BYTES);
}

static sfl_op operation(const Py_buffer *out, int subtract)
{
    return out->itemsize == 4 ? (subtract ? SFL_SUB32 : SFL_ADD32) : (subtract ? SFL_SUB64 : SFL_ADD64);
}

static PyObject *add_stream(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    PyObject *out_arg, *key_arg;
    int subtract;
    Py_buffer out = {0}, key = {0};
    if (!PyArg_ParseTuple(args, "sOOp:add_stream", &name, &out_arg, &key_arg, &subtract)) return NULL;
    const sfl_mask_backend *backend = find_backend(name);
    int failed = !backend || sfl_view(&out, out_arg, "out", SFL_WRITE, 1, 0) || view_key(&key, key_arg, "key") ||
                 sfl_apart(&out, &key, "key", 0);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        backend->add_stream(out.buf, (size_t)out.len, operation(&out, subtract), key.buf);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&out);
    PyBuffer_Release(&key);
    return sfl_none(failed);
}

/* ---- Rows ---- */

typedef struct {
    Py_buffer out, tag_key, stream_key, digests, index;
} row_views;

static void release_rows(row_views *v)
{
    PyBuffer_Release(&v->out);
    PyBuffer_Release(&v->tag_key);
    PyBuffer_Release(&v->stream_key);
    PyBuffer_Release(&v->digests);
    PyBuffer_Release(&v->index);
}

/* Every number is a row of `out`. */
static int check_index(const int64_t *index, Py_ssize_t count, Py_ssize_t rows)
{
    int outside = 0;
    for (Py_ssize_t k = 0; k < count; k++) outside |= index[k] < 0 || index[k] >= rows;
    if (outside) PyErr_SetString(PyExc_ValueError, "index names a row that does not exist");
    return -outside;
}

static int view_index(row_views *v, PyObject *index)
{
    if (index == Py_None) return 0;
    return sfl_view(&v->index, index, "index", SFL_READ, 1, 8) || sfl_apart(&v->out, &v->index, "index", 0) ||
           check_index(v->index.buf, v->index.shape[0], v->out.shape[0]);
}

static int view_rows(row_views *v, PyObject *out, PyObject *tag_key, PyObject *stream_key, PyObject *digests)
{
    if (sfl_view(&v->out, out, "out", SFL_WRITE, 2, 0) || view_key(&v->tag_key, tag_key, "tag_key") ||
        view_key(&v->stream_key, stream_key, "stream_key") || sfl_view(&v->digests, digests, "digests", SFL_READ, 2, 1) ||
        sfl_shape(&v->digests, "digests", 0, v->out.shape[0]) || sfl_shape(&v->digests, "digests", 1, DIGEST_BYTES) ||
        sfl_apart(&v->out, &v->tag_key, "tag_key", 0) || sfl_apart(&v->out, &v->stream_key, "stream_key", 0) ||
        sfl_apart(&v->out, &v->digests, "digests", 0))
        return -1;
    if (v->out.shape[1] <= MAX_ROW_BYTES / v->out.itemsize) return 0;
    PyErr_Format(PyExc_ValueError, "rows of %zd words need more than 2**16 blocks; cut them", v->out.shape[1]);
    return -1;
}

static PyObject *add_row_streams(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    PyObject *out, *tag_key, *stream_key, *digests, *index;
    int subtract;
    row_views v = {0};
    if (!PyArg_ParseTuple(args, "sOOOOOp:add_row_streams", &name, &out, &tag_key, &stream_key, &digests, &index, &subtract))
        return NULL;
    const sfl_mask_backend *backend = find_backend(name);
    int failed = !backend || view_rows(&v, out, tag_key, stream_key, digests) || view_index(&v, index);
    if (!failed) {
        const sfl_rows job = {
            .out = v.out.buf,
            .bytes = (size_t)(v.out.shape[1] * v.out.itemsize),
            .digests = v.digests.buf,
            .index = v.index.buf,
            .count = (size_t)(v.index.obj ? v.index.shape[0] : v.out.shape[0]),
        };
        Py_BEGIN_ALLOW_THREADS
        backend->add_row_streams(&job, operation(&v.out, subtract), v.tag_key.buf, v.stream_key.buf);
        Py_END_ALLOW_THREADS
    }
    release_rows(&v);
    return sfl_none(failed);
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

static PyObject *pack(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *values_arg, *bits_arg, *packed = NULL;
    Py_buffer values = {0};
    uint64_t bits;
    Py_ssize_t bytes;
    if (!PyArg_ParseTuple(args, "OO:pack", &values_arg, &bits_arg)) return NULL;
    int failed = sfl_integer(&bits, bits_arg, "bits", 1, 64) || sfl_view(&values, values_arg, "values", SFL_READ, 1, 0) ||
                 packed_size(&bytes, values.shape[0], bits) || !(packed = PyBytes_FromStringAndSize(NULL, bytes));
    if (!failed) {
        uint8_t *out = (uint8_t *)PyBytes_AsString(packed);
        const size_t count = (size_t)values.shape[0];
        Py_BEGIN_ALLOW_THREADS
        if (values.itemsize == 4) sfl_pack32(out, values.buf, count, (unsigned)bits);
        else sfl_pack64(out, values.buf, count, (unsigned)bits);
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
    PyObject *out_arg, *data_arg, *bits_arg;
    Py_buffer out = {0}, data = {0};
    uint64_t bits;
    Py_ssize_t bytes;
    if (!PyArg_ParseTuple(args, "OOO:unpack", &out_arg, &data_arg, &bits_arg)) return NULL;
    int failed = sfl_view(&out, out_arg, "out", SFL_WRITE, 1, 0) ||
                 sfl_integer(&bits, bits_arg, "bits", 1, 8 * (uint64_t)out.itemsize) ||
                 sfl_view(&data, data_arg, "data", SFL_READ, 1, 1) || packed_size(&bytes, out.shape[0], bits) ||
                 sfl_shape(&data, "data", 0, bytes) || check_padding(data.buf, bytes, out.shape[0], bits) ||
                 sfl_apart(&out, &data, "data", 0);
    if (!failed) {
        const size_t count = (size_t)out.shape[0];
        Py_BEGIN_ALLOW_THREADS
        if (out.itemsize == 4) sfl_unpack32(out.buf, data.buf, count, (unsigned)bits);
        else sfl_unpack64(out.buf, data.buf, count, (unsigned)bits);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&out);
    PyBuffer_Release(&data);
    return sfl_none(failed);
}

PyMethodDef sfl_ring_methods[] = {
    {"mask_backends", mask_backends, METH_NOARGS, PyDoc_STR("mask_backends()\n--\n\nUsable here, best first.")},
    {"add_stream", add_stream, METH_VARARGS, PyDoc_STR("add_stream(backend, out, key, subtract, /)\n--\n\nIn place.")},
    {"add_row_streams", add_row_streams, METH_VARARGS,
     PyDoc_STR("add_row_streams(backend, out, tag_key, stream_key, digests, index, subtract, /)\n--\n\nIn place.")},
    {"pack", pack, METH_VARARGS, PyDoc_STR("pack(values, bits, /)\n--\n\nLeast significant bit first.")},
    {"unpack", unpack, METH_VARARGS, PyDoc_STR("unpack(out, data, bits, /)\n--\n\nThe way back.")},
    {NULL, NULL, 0, NULL},
};
