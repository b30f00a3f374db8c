/* How arguments come in from Python: every function returns 0, or -1 with an exception set. */
#ifndef SFL_BINDING_H
#define SFL_BINDING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "kernels.h"

enum { SFL_READ = PyBUF_C_CONTIGUOUS, SFL_WRITE = PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE };

#define SFL_ANY (-1)

/* The buffer of `object`: C-contiguous, aligned, of `dims` dimensions (or SFL_ANY) and `item`-byte items (0: 4 or 8). A
 * failed view may be released all the same. */
int sfl_view(Py_buffer *view, PyObject *object, const char *name, int access, int dims, Py_ssize_t item);

/* Dimension `axis` has `wanted` items. */
int sfl_shape(const Py_buffer *view, const char *name, int axis, Py_ssize_t wanted);

/* All of it has `wanted` bytes. */
int sfl_size(const Py_buffer *view, const char *name, Py_ssize_t wanted);

/* `out` shares no byte with `in`; with `in_place`, it may also be all of it. */
int sfl_apart(const Py_buffer *out, const Py_buffer *in, const char *name, int in_place);

/* A Python int in [low, high]. */
int sfl_integer(uint64_t *value, PyObject *object, const char *name, uint64_t low, uint64_t high);

/* Room for `count` words, to be freed with PyMem_Free. */
int sfl_scratch(uint64_t **scratch, size_t count);

/* The names of the backends this CPU can run, of a table whose rows begin with an sfl_backend and have `row` bytes. */
PyObject *sfl_names(const void *table, size_t row);

/* The row of this name, or the first usable one when it is NULL; NULL with an exception set when there is none. */
const void *sfl_find(const void *table, size_t row, const char *name);

/* None when `failed` is 0. */
PyObject *sfl_none(int failed);

extern PyMethodDef sfl_ring_methods[], sfl_field_methods[], sfl_hash_methods[], sfl_bloom_methods[];
extern PyMethodDef sfl_nn_methods[];

#endif
