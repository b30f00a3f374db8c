/* The module native._native: functions only, buffers in and out, no state. */
#include "binding.h"

int sfl_view(Py_buffer *view, PyObject *object, const char *name, int access, int dims, Py_ssize_t item)
{
    if (PyObject_GetBuffer(object, view, access) < 0) return -1;
    if (dims != SFL_ANY && view->ndim != dims) {
        PyErr_Format(PyExc_ValueError, "%s has %d dimensions, not %d", name, view->ndim, dims);
        return -1;
    }
    if (item ? view->itemsize != item : view->itemsize != 4 && view->itemsize != 8) {
        PyErr_Format(PyExc_ValueError, "%s has items of %zd bytes, not %s", name, view->itemsize,
                     item == 8 ? "8" : item == 4 ? "4" : item == 1 ? "1" : "4 or 8");
        return -1;
    }
    if (view->len != 0 && (uintptr_t)view->buf % (size_t)view->itemsize != 0) {
        PyErr_Format(PyExc_ValueError, "%s is not aligned to its items", name);
        return -1;
    }
    return 0;
}

int sfl_shape(const Py_buffer *view, const char *name, int axis, Py_ssize_t wanted)
{
    if (view->shape[axis] == wanted) return 0;
    PyErr_Format(PyExc_ValueError, "%s has %zd items along axis %d, not %zd", name, view->shape[axis], axis, wanted);
    return -1;
}

int sfl_size(const Py_buffer *view, const char *name, Py_ssize_t wanted)
{
    if (view->len == wanted) return 0;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes, not %zd", name, view->len, wanted);
    return -1;
}

int sfl_scratch(uint64_t **scratch, size_t count)
{
    *scratch = PyMem_Calloc(count, sizeof **scratch);
    if (*scratch) return 0;
    PyErr_NoMemory();
    return -1;
}

int sfl_apart(const Py_buffer *out, const Py_buffer *in, const char *name, int in_place)
{
    const uintptr_t a = (uintptr_t)out->buf, b = (uintptr_t)in->buf;
    if (out->len == 0 || in->len == 0) return 0;
    if (in_place && a == b && out->len == in->len) return 0;
    if (a < b ? b - a >= (uintptr_t)out->len : a - b >= (uintptr_t)in->len) return 0;
    PyErr_Format(PyExc_ValueError, "the output overlaps %s", name);
    return -1;
}

int sfl_integer(uint64_t *value, PyObject *object, const char *name, uint64_t low, uint64_t high)
{
    const unsigned long long given = PyLong_AsUnsignedLongLong(object); /* not format "K", which wraps silently */
    if (PyErr_Occurred()) return -1;
    if (given < low || given > high) {
        PyErr_Format(PyExc_ValueError, "%s is %llu, outside %llu..%llu", name, given, (unsigned long long)low,
                     (unsigned long long)high);
        return -1;
    }
    *value = given;
    return 0;
}

PyObject *sfl_names(const void *table, size_t row)
{
    PyObject *names = PyList_New(0);
    for (const sfl_backend *b = table; names && b->name; b = (const void *)((const char *)b + row)) {
        PyObject *name = b->usable() ? PyUnicode_FromString(b->name) : Py_NewRef(Py_None);
        if (!name || (name != Py_None && PyList_Append(names, name) < 0)) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

const void *sfl_find(const void *table, size_t row, const char *name)
{
    for (const sfl_backend *b = table; b->name; b = (const void *)((const char *)b + row)) {
        if ((!name || strcmp(b->name, name) == 0) && b->usable()) return b;
    }
    PyErr_Format(PyExc_ValueError, "no backend \"%s\" on this machine", name ? name : "");
    return NULL;
}

PyObject *sfl_none(int failed)
{
    return failed ? NULL : Py_NewRef(Py_None);
}

static int add_functions(PyObject *module)
{
    return PyModule_AddFunctions(module, sfl_ring_methods) || PyModule_AddFunctions(module, sfl_field_methods) ||
                   PyModule_AddFunctions(module, sfl_hash_methods) || PyModule_AddFunctions(module, sfl_bloom_methods) ||
                   PyModule_AddFunctions(module, sfl_nn_methods)
               ? -1
               : 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, add_functions},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "native._native",
    .m_doc = PyDoc_STR("Vector kernels. Use the other modules of native, which check their arguments."),
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__native(void);
PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
