#include "binding.h"

#define ROW sizeof(sfl_bloom_backend)

static PyObject *bloom_backends(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    return sfl_names(sfl_bloom_backends, ROW);
}

/* What every function begins with. */
typedef struct {
    const char *backend;
    PyObject *words, *cells, *hashes;
} filter_args;

typedef struct {
    const sfl_bloom_backend *backend;
    Py_buffer words;
    sfl_bloom filter;
} filter_view;

static int view_filter(filter_view *v, const filter_args *args, int access)
{
    uint64_t hashes;
    if (!(v->backend = sfl_find(sfl_bloom_backends, ROW, args->backend)) ||
        sfl_integer(&v->filter.cells, args->cells, "cells", 1, UINT32_MAX) ||
        sfl_integer(&hashes, args->hashes, "hashes", 1, SFL_BLOOM_HASHES) ||
        sfl_view(&v->words, args->words, "words", access, 1, 4) ||
        sfl_shape(&v->words, "words", 0, (Py_ssize_t)((v->filter.cells + 31) / 32)))
        return -1;
    v->filter.hashes = (unsigned)hashes;
    v->filter.words = v->words.buf;
    return 0;
}

static PyObject *bloom_insert(PyObject *Py_UNUSED(module), PyObject *args)
{
    filter_args a;
    PyObject *keys_arg;
    filter_view v = {0};
    Py_buffer keys = {0};
    if (!PyArg_ParseTuple(args, "zOOOO:bloom_insert", &a.backend, &a.words, &a.cells, &a.hashes, &keys_arg))
        return NULL;
    const int failed = view_filter(&v, &a, SFL_WRITE) || sfl_view(&keys, keys_arg, "keys", SFL_READ, 1, 8) ||
                       sfl_apart(&v.words, &keys, "keys", 0);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        v.backend->insert(&v.filter, keys.buf, (size_t)keys.shape[0]);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&v.words);
    PyBuffer_Release(&keys);
    return sfl_none(failed);
}

static PyObject *bloom_contains(PyObject *Py_UNUSED(module), PyObject *args)
{
    filter_args a;
    PyObject *found_arg, *keys_arg;
    filter_view v = {0};
    Py_buffer found = {0}, keys = {0};
    if (!PyArg_ParseTuple(args, "zOOOOO:bloom_contains", &a.backend, &a.words, &a.cells, &a.hashes, &found_arg,
                          &keys_arg))
        return NULL;
    const int failed = view_filter(&v, &a, SFL_READ) || sfl_view(&found, found_arg, "found", SFL_WRITE, 1, 1) ||
                       sfl_view(&keys, keys_arg, "keys", SFL_READ, 1, 8) ||
                       sfl_shape(&found, "found", 0, keys.shape[0]) || sfl_apart(&found, &keys, "keys", 0) ||
                       sfl_apart(&found, &v.words, "words", 0);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        v.backend->contains(&v.filter, found.buf, keys.buf, (size_t)keys.shape[0]);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&v.words);
    PyBuffer_Release(&found);
    PyBuffer_Release(&keys);
    return sfl_none(failed);
}

static PyObject *bloom_members(PyObject *Py_UNUSED(module), PyObject *args)
{
    filter_args a;
    PyObject *out_arg, *first_arg;
    filter_view v = {0};
    Py_buffer out = {0};
    uint64_t first;
    size_t members = 0;
    if (!PyArg_ParseTuple(args, "zOOOOO:bloom_members", &a.backend, &a.words, &a.cells, &a.hashes, &out_arg,
                          &first_arg))
        return NULL;
    const int failed = view_filter(&v, &a, SFL_READ) || sfl_view(&out, out_arg, "out", SFL_WRITE, 1, 8) ||
                       sfl_integer(&first, first_arg, "first", 0, INT64_MAX - (uint64_t)out.shape[0]) ||
                       sfl_apart(&out, &v.words, "words", 0);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        members = v.backend->members(&v.filter, out.buf, first, (size_t)out.shape[0]);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&v.words);
    PyBuffer_Release(&out);
    return failed ? NULL : PyLong_FromSize_t(members);
}

PyMethodDef sfl_bloom_methods[] = {
    {"bloom_backends", bloom_backends, METH_NOARGS,
     PyDoc_STR("bloom_backends()\n--\n\nNames of the usable ones, best first.")},
    {"bloom_insert", bloom_insert, METH_VARARGS,
     PyDoc_STR("bloom_insert(backend, words, cells, hashes, keys, /)\n--\n\nIn place.")},
    {"bloom_contains", bloom_contains, METH_VARARGS,
     PyDoc_STR("bloom_contains(backend, words, cells, hashes, found, keys, /)\n--\n\n1 or 0 for each key.")},
    {"bloom_members", bloom_members, METH_VARARGS,
     PyDoc_STR("bloom_members(backend, words, cells, hashes, out, first, /)\n--\n\nHow many from first on are in it.")},
    {NULL, NULL, 0, NULL},
};
