#include "binding.h"

#define ROW sizeof(sfl_murmur3_backend)

static PyObject *murmur3_backends(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    return sfl_names(sfl_murmur3_backends, ROW);
}

static PyObject *murmur3(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    PyObject *out_arg, *keys_arg, *seed_arg;
    Py_buffer out = {0}, keys = {0};
    uint64_t seed;
    if (!PyArg_ParseTuple(args, "zOOO:murmur3", &name, &out_arg, &keys_arg, &seed_arg)) return NULL;
    const sfl_murmur3_backend *backend = sfl_find(sfl_murmur3_backends, ROW, name);
    int failed = !backend || sfl_integer(&seed, seed_arg, "seed", 0, UINT32_MAX) ||
                 sfl_view(&out, out_arg, "out", SFL_WRITE, 2, 8) || sfl_view(&keys, keys_arg, "keys", SFL_READ, 1, 8) ||
                 sfl_shape(&out, "out", 0, keys.shape[0]) || sfl_shape(&out, "out", 1, 2) ||
                 sfl_apart(&out, &keys, "keys", 0);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        backend->hash(out.buf, keys.buf, (size_t)keys.shape[0], (uint32_t)seed);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&out);
    PyBuffer_Release(&keys);
    return sfl_none(failed);
}

PyMethodDef sfl_hash_methods[] = {
    {"murmur3_backends", murmur3_backends, METH_NOARGS,
     PyDoc_STR("murmur3_backends()\n--\n\nNames of the usable ones, best first.")},
    {"murmur3", murmur3, METH_VARARGS,
     PyDoc_STR("murmur3(backend, out, keys, seed, /)\n--\n\nMurmurHash3 x64 128 of each key.")},
    {NULL, NULL, 0, NULL},
};
