/* Steps and programs of the inference kernels: made and checked once, run many times without the interpreter's lock. */
#include "nn_binding.h"
#include "pool.h"

#define STEP "native._native.nn_step"
#define POOL "native._native.nn_pool"
#define PROGRAM "native._native.nn_program"

enum { MOST = 0x7fffffff };

static const sfl_nn_backend *find_backend(const char *name)
{
    for (const sfl_nn_backend *const *b = sfl_nn_backends; *b; b++) {
        if (strcmp((*b)->name, name) == 0 && (*b)->usable()) return *b;
    }
    PyErr_Format(PyExc_ValueError, "no inference kernels \"%s\" on this machine", name);
    return NULL;
}

static const sfl_nn_backend *best_backend(void)
{
    const sfl_nn_backend *const *b = sfl_nn_backends;
    while (!(*b)->usable()) b++;
    return *b;
}

static PyObject *nn_backends(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    PyObject *names = PyList_New(0);
    for (const sfl_nn_backend *const *b = sfl_nn_backends; names && *b; b++) {
        if (!(*b)->usable()) continue;
        PyObject *pair = Py_BuildValue("(snn)", (*b)->name, (Py_ssize_t)(*b)->width, (Py_ssize_t)(*b)->tile_rows);
        if (!pair || PyList_Append(names, pair) < 0) Py_CLEAR(names);
        Py_XDECREF(pair);
    }
    return names;
}

static void free_step(step *s)
{
    for (int i = 0; i < STEP_BUFFERS; i++) PyBuffer_Release(&s->view[i]);
    PyMem_Free(s);
}

static void free_step_capsule(PyObject *capsule)
{
    free_step(PyCapsule_GetPointer(capsule, STEP));
}

/* A tuple of exactly `count` items. */
static int check_tuple(PyObject *tuple, const char *what, const char *kind, Py_ssize_t count)
{
    if (PyTuple_Size(tuple) == count) return 0;
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_ValueError, "a step \"%s\" takes %zd %s, not %zd", kind, count, what, PyTuple_Size(tuple));
    return -1;
}

/* view[0] is written to, scratch (any buffer the kind calls so) is the caller's own and writable too. */
static int take_buffers(step *s, const step_kind *kind, PyObject *buffers)
{
    if (check_tuple(buffers, "buffers", kind->name, kind->buffers)) return -1;
    for (int i = 0; i < kind->buffers; i++) {
        PyObject *buffer = PyTuple_GetItem(buffers, i);
        if (buffer == Py_None) continue;
        const int access = i == 0 ? SFL_WRITE : SFL_READ;
        if (PyObject_GetBuffer(buffer, &s->view[i], access) < 0) return -1;
        if (s->view[i].len != 0 && (uintptr_t)s->view[i].buf % (size_t)s->view[i].itemsize != 0) {
            PyErr_Format(PyExc_ValueError, "buffer %d of a step \"%s\" is not aligned to its items", i, kind->name);
            return -1;
        }
    }
    return 0;
}

static int take_sizes(step *s, const step_kind *kind, PyObject *sizes)
{
    uint64_t value;
    if (check_tuple(sizes, "sizes", kind->name, kind->sizes)) return -1;
    for (int i = 0; i < kind->sizes; i++) {
        if (sfl_integer(&value, PyTuple_GetItem(sizes, i), "a size", 0, MOST)) return -1;
        s->size[i] = (size_t)value;
    }
    return 0;
}

static int take_numbers(step *s, const step_kind *kind, PyObject *numbers)
{
    if (check_tuple(numbers, "numbers", kind->name, kind->numbers)) return -1;
    for (int i = 0; i < kind->numbers; i++) s->number[i] = (float)PyFloat_AsDouble(PyTuple_GetItem(numbers, i));
    return PyErr_Occurred() ? -1 : 0;
}

static const step_kind *find_kind(const char *name)
{
    for (const step_kind *kind = sfl_nn_step_kinds; kind->name; kind++) {
        if (strcmp(kind->name, name) == 0) return kind;
    }
    PyErr_Format(PyExc_ValueError, "no step is called \"%s\"", name);
    return NULL;
}

static PyObject *nn_step(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *backend, *name;
    PyObject *buffers, *sizes, *numbers, *parts_arg, *capsule = NULL;
    uint64_t parts;
    if (!PyArg_ParseTuple(args, "ssO!O!O!O:nn_step", &backend, &name, &PyTuple_Type, &buffers, &PyTuple_Type, &sizes,
                          &PyTuple_Type, &numbers, &parts_arg) ||
        sfl_integer(&parts, parts_arg, "parts", 1, SFL_MAX_THREADS))
        return NULL;
    const step_kind *kind = find_kind(name);
    step *s = kind ? PyMem_Calloc(1, sizeof(step)) : NULL;
    if (!s) return kind ? PyErr_NoMemory() : NULL;
    s->parts = (unsigned)parts;
    s->backend = find_backend(backend);
    if (s->backend && !take_buffers(s, kind, buffers) && !take_sizes(s, kind, sizes) &&
        !take_numbers(s, kind, numbers) && !kind->fill(s))
        capsule = PyCapsule_New(s, STEP, free_step_capsule);
    if (!capsule) free_step(s);
    return capsule;
}

/* ---- Programs ---- */

/* Its threads never ask for the interpreter's lock: they can be waited for with it held. */
static void free_pool(PyObject *capsule)
{
    sfl_pool_free(PyCapsule_GetPointer(capsule, POOL));
}

static PyObject *nn_pool(PyObject *Py_UNUSED(module), PyObject *threads_arg)
{
    uint64_t threads;
    if (sfl_integer(&threads, threads_arg, "threads", 1, SFL_MAX_THREADS)) return NULL;
    sfl_pool *pool = sfl_pool_new((unsigned)threads);
    if (!pool) return PyErr_NoMemory();
    PyObject *capsule = PyCapsule_New(pool, POOL, free_pool);
    if (!capsule) sfl_pool_free(pool);
    return capsule;
}

static PyObject *nn_close(PyObject *Py_UNUSED(module), PyObject *capsule)
{
    sfl_pool *pool = PyCapsule_GetPointer(capsule, POOL);
    if (!pool) return NULL;
    Py_BEGIN_ALLOW_THREADS
    sfl_pool_close(pool);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

typedef struct {
    PyObject *steps, *kept; /* the tuple of capsules, and the pool's: they live as long */
    sfl_pool *pool;         /* NULL: the caller's thread alone */
    Py_ssize_t count;
    const step *step[];
} program;

static void free_program(PyObject *capsule)
{
    program *p = PyCapsule_GetPointer(capsule, PROGRAM);
    Py_XDECREF(p->steps);
    Py_XDECREF(p->kept);
    PyMem_Free(p);
}

static PyObject *nn_program(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *steps, *pool;
    if (!PyArg_ParseTuple(args, "O!O:nn_program", &PyTuple_Type, &steps, &pool)) return NULL;
    const Py_ssize_t count = PyTuple_Size(steps);
    program *p = PyMem_Calloc(1, sizeof(program) + (size_t)count * sizeof(step *));
    if (!p) return PyErr_NoMemory();
    p->count = count;
    for (Py_ssize_t i = 0; i < count; i++) p->step[i] = PyCapsule_GetPointer(PyTuple_GetItem(steps, i), STEP);
    if (pool != Py_None) p->pool = PyCapsule_GetPointer(pool, POOL);
    PyObject *capsule = PyErr_Occurred() ? NULL : PyCapsule_New(p, PROGRAM, free_program);
    if (capsule) {
        p->steps = Py_NewRef(steps);
        p->kept = Py_NewRef(pool);
    } else PyMem_Free(p);
    return capsule;
}

static void run_part(const void *given, unsigned part)
{
    const step *s = given;
    s->run(s, part);
}

static void run_step(const program *p, const step *s)
{
    if (p->pool && s->parts > 1) {
        sfl_pool_run(p->pool, run_part, s, s->parts);
        return;
    }
    for (unsigned part = 0; part < s->parts; part++) s->run(s, part);
}

static PyObject *nn_run(PyObject *Py_UNUSED(module), PyObject *capsule)
{
    const program *p = PyCapsule_GetPointer(capsule, PROGRAM);
    if (!p) return NULL;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < p->count; i++) run_step(p, p->step[i]);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *nn_finite(PyObject *Py_UNUSED(module), PyObject *array)
{
    Py_buffer view = {0};
    int failed = PyObject_GetBuffer(array, &view, SFL_READ) < 0, finite = 0;
    if (!failed && (view.itemsize != 4 || (uintptr_t)view.buf % 4 != 0)) {
        PyErr_SetString(PyExc_ValueError, "the array is not one of aligned 4-byte floats");
        failed = 1;
    }
    if (!failed) finite = best_backend()->all_finite(view.buf, (size_t)view.len / 4);
    PyBuffer_Release(&view);
    return failed ? NULL : PyBool_FromLong(finite);
}

/* Negative numbers are above any limit once they are unsigned. */
static int all_below(const Py_buffer *view, uint64_t limit)
{
    const Py_ssize_t count = view->len / view->itemsize;
    const int64_t *wide = view->buf;
    const int32_t *narrow = view->buf;
    int below = 1;
    if (view->itemsize == 8) {
        for (Py_ssize_t i = 0; i < count; i++) below &= (uint64_t)wide[i] < limit;
    } else {
        for (Py_ssize_t i = 0; i < count; i++) below &= (uint32_t)narrow[i] < limit;
    }
    return below;
}

static PyObject *nn_below(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *array, *limit_arg;
    uint64_t limit;
    Py_buffer view = {0};
    if (!PyArg_ParseTuple(args, "OO:nn_below", &array, &limit_arg) ||
        sfl_integer(&limit, limit_arg, "limit", 0, MOST) || PyObject_GetBuffer(array, &view, SFL_READ) < 0)
        return NULL;
    const int fits = (view.itemsize == 4 || view.itemsize == 8) && (uintptr_t)view.buf % (size_t)view.itemsize == 0;
    const int below = fits && all_below(&view, limit);
    PyBuffer_Release(&view);
    if (fits) return PyBool_FromLong(below);
    PyErr_SetString(PyExc_ValueError, "the array is not one of aligned 4- or 8-byte integers");
    return NULL;
}

/* ---- Inputs: copied and checked in one call; whatever is unusual is left to the caller ---- */

#define PLACES "native._native.nn_places"

typedef struct {
    Py_buffer view;
    uint64_t limit; /* of indices; 0: none */
} input_place;

typedef struct {
    Py_ssize_t count;
    input_place place[];
} input_places;

static void release_places(input_places *p)
{
    for (Py_ssize_t i = 0; i < p->count; i++) PyBuffer_Release(&p->place[i].view);
    PyMem_Free(p);
}

static void free_places(PyObject *capsule)
{
    release_places(PyCapsule_GetPointer(capsule, PLACES));
}

/* What all_finite and all_below will read: floats, or integers that have a limit. */
static int readable(const input_place *place)
{
    const Py_buffer *v = &place->view;
    if (*v->format != 'f' && !place->limit) return 1;
    return (v->itemsize == 4 || v->itemsize == 8) && (uintptr_t)v->buf % (size_t)v->itemsize == 0;
}

static int take_place(input_place *place, PyObject *pair)
{
    if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2) {
        PyErr_SetString(PyExc_TypeError, "a place is a pair of an array and a limit");
        return -1;
    }
    if (sfl_integer(&place->limit, PyTuple_GetItem(pair, 1), "limit", 0, MOST) ||
        PyObject_GetBuffer(PyTuple_GetItem(pair, 0), &place->view, SFL_WRITE | PyBUF_FORMAT) < 0)
        return -1;
    if (readable(place)) return 0;
    PyErr_SetString(PyExc_ValueError, "the array is not one of aligned 4- or 8-byte items");
    return -1;
}

static PyObject *nn_places(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *pairs, *capsule = NULL;
    if (!PyArg_ParseTuple(args, "O!:nn_places", &PyTuple_Type, &pairs)) return NULL;
    const Py_ssize_t count = PyTuple_Size(pairs);
    input_places *p = PyMem_Calloc(1, sizeof(input_places) + (size_t)count * sizeof(input_place));
    if (!p) return PyErr_NoMemory();
    p->count = count;
    int failed = 0;
    for (Py_ssize_t i = 0; i < count && !failed; i++) failed = take_place(&p->place[i], PyTuple_GetItem(pairs, i));
    if (!failed) capsule = PyCapsule_New(p, PLACES, free_places);
    if (!capsule) release_places(p);
    return capsule;
}

static int same_kind(const Py_buffer *a, const Py_buffer *b)
{
    return a->ndim == b->ndim && a->itemsize == b->itemsize && strcmp(a->format, b->format) == 0 &&
           memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape) == 0;
}

/* 1 when the array was copied and is valid, else 0. */
static int fill_place(const input_place *place, PyObject *array, const sfl_nn_backend *backend)
{
    Py_buffer view = {0};
    int valid = 0;
    if (PyObject_GetBuffer(array, &view, SFL_READ | PyBUF_FORMAT) < 0) PyErr_Clear();
    else if (same_kind(&place->view, &view)) {
        memcpy(place->view.buf, view.buf, (size_t)view.len);
        valid = *view.format == 'f' ? backend->all_finite(place->view.buf, (size_t)view.len / 4)
                                    : !place->limit || all_below(&place->view, place->limit);
    }
    PyBuffer_Release(&view);
    return valid;
}

static PyObject *nn_feed(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *capsule, *arrays;
    if (!PyArg_ParseTuple(args, "OO!:nn_feed", &capsule, &PyTuple_Type, &arrays)) return NULL;
    const input_places *p = PyCapsule_GetPointer(capsule, PLACES);
    if (!p) return NULL;
    int valid = PyTuple_Size(arrays) == p->count;
    for (Py_ssize_t i = 0; i < p->count && valid; i++)
        valid = fill_place(&p->place[i], PyTuple_GetItem(arrays, i), best_backend());
    return PyBool_FromLong(valid);
}

PyMethodDef sfl_nn_methods[] = {
    {"nn_backends", nn_backends, METH_NOARGS,
     PyDoc_STR("nn_backends()\n--\n\n(name, vector width, tile rows), best first.")},
    {"nn_step", nn_step, METH_VARARGS,
     PyDoc_STR("nn_step(backend, kind, buffers, sizes, numbers, parts, /)\n--\n\nOne checked kernel call.")},
    {"nn_pool", nn_pool, METH_O, PyDoc_STR("nn_pool(threads, /)\n--\n\nThreads that sleep until a program runs.")},
    {"nn_close", nn_close, METH_O, PyDoc_STR("nn_close(pool, /)\n--\n\nEnd the threads until the next run.")},
    {"nn_program", nn_program, METH_VARARGS,
     PyDoc_STR("nn_program(steps, pool, /)\n--\n\nSteps in order; their parts on a pool, or None.")},
    {"nn_run", nn_run, METH_O, PyDoc_STR("nn_run(program, /)\n--\n\nRun all steps, without the interpreter's lock.")},
    {"nn_places", nn_places, METH_VARARGS,
     PyDoc_STR("nn_places(pairs, /)\n--\n\nWhere inputs go: (array, limit of indices or 0).")},
    {"nn_feed", nn_feed, METH_VARARGS,
     PyDoc_STR("nn_feed(places, arrays, /)\n--\n\nCopy and check; whether all were as they should.")},
    {"nn_below", nn_below, METH_VARARGS,
     PyDoc_STR("nn_below(array, limit, /)\n--\n\nWhether every integer is in 0..limit - 1.")},
    {"nn_finite", nn_finite, METH_O, PyDoc_STR("nn_finite(array, /)\n--\n\nWhether no float32 is NaN or infinite.")},
    {NULL, NULL, 0, NULL},
};
