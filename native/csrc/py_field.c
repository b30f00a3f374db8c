#include "binding.h"

#define ROW sizeof(sfl_mod_backend)
#define MOST_BACKENDS 8 /* the table has fewer */

static int take_modulus(uint64_t *m, PyObject *object)
{
    if (sfl_integer(m, object, "modulus", 3, UINT64_MAX)) return -1;
    if (*m & 1) return 0;
    PyErr_SetString(PyExc_ValueError, "modulus is even");
    return -1;
}

/* Those of the table that serve m. */
static void find_serving(sfl_mod_backend serving[MOST_BACKENDS], uint64_t m)
{
    for (const sfl_mod_backend *b = sfl_mod_backends; b->backend.name; b++) {
        if (b->lowest <= m && m <= b->highest) *serving++ = *b;
    }
    *serving = (sfl_mod_backend){0};
}

static PyObject *mod_backends(PyObject *Py_UNUSED(module), PyObject *modulus)
{
    sfl_mod_backend serving[MOST_BACKENDS];
    uint64_t m;
    if (take_modulus(&m, modulus)) return NULL;
    find_serving(serving, m);
    return sfl_names(serving, ROW);
}

static const sfl_mod_kernels *find_field(const char *name, uint64_t m)
{
    sfl_mod_backend serving[MOST_BACKENDS];
    find_serving(serving, m);
    const sfl_mod_backend *found = sfl_find(serving, ROW, name);
    return found ? found->kernels : NULL;
}

/* ---- Element by element ---- */

typedef struct {
    const sfl_mod_kernels *field;
    uint64_t m;
    size_t count;
    Py_buffer out, a, b;
} vectors;

/* Vectors of one length; b may be missing. The output may be an input when in_place is set. */
static int take_vectors(vectors *v, const char *name, PyObject *modulus, PyObject *out, PyObject *a, PyObject *b,
                        int in_place)
{
    if (take_modulus(&v->m, modulus)) return -1;
    v->field = find_field(name, v->m);
    if (!v->field || sfl_view(&v->out, out, "out", SFL_WRITE, SFL_ANY, 8) ||
        sfl_view(&v->a, a, "a", SFL_READ, SFL_ANY, 8) || sfl_size(&v->a, "a", v->out.len) ||
        sfl_apart(&v->out, &v->a, "a", in_place)) {
        return -1;
    }
    if (b && (sfl_view(&v->b, b, "b", SFL_READ, SFL_ANY, 8) || sfl_size(&v->b, "b", v->out.len) ||
              sfl_apart(&v->out, &v->b, "b", in_place))) {
        return -1;
    }
    v->count = (size_t)v->out.len / 8;
    return 0;
}

static PyObject *give_back(vectors *v, int failed, int done)
{
    PyBuffer_Release(&v->out);
    PyBuffer_Release(&v->a);
    PyBuffer_Release(&v->b);
    return failed ? NULL : PyBool_FromLong(done);
}

typedef enum { ADD, SUB, MUL } operation;

static sfl_mod_binary_fn *kernel_of(const sfl_mod_kernels *field, operation op)
{
    return op == ADD ? field->add : op == SUB ? field->sub : field->mul;
}

static PyObject *binary(PyObject *args, operation op)
{
    const char *name;
    PyObject *out, *a, *b, *m;
    vectors v = {0};
    int done = 0;
    if (!PyArg_ParseTuple(args, "zOOOO", &name, &out, &a, &b, &m)) return NULL;
    const int failed = take_vectors(&v, name, m, out, a, b, 1);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        done = kernel_of(v.field, op)(v.out.buf, v.a.buf, v.b.buf, v.count, v.m);
        Py_END_ALLOW_THREADS
    }
    return give_back(&v, failed, done);
}

static PyObject *mod_add(PyObject *Py_UNUSED(module), PyObject *args)
{
    return binary(args, ADD);
}

static PyObject *mod_sub(PyObject *Py_UNUSED(module), PyObject *args)
{
    return binary(args, SUB);
}

static PyObject *mod_mul(PyObject *Py_UNUSED(module), PyObject *args)
{
    return binary(args, MUL);
}

static PyObject *mod_scale(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    PyObject *out, *a, *factor_arg, *m;
    vectors v = {0};
    uint64_t factor;
    int done = 0;
    if (!PyArg_ParseTuple(args, "zOOOO:mod_scale", &name, &out, &a, &factor_arg, &m)) return NULL;
    const int failed = take_vectors(&v, name, m, out, a, NULL, 1) ||
                       sfl_integer(&factor, factor_arg, "factor", 0, v.m - 1);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        done = v.field->scale(v.out.buf, v.a.buf, factor, v.count, v.m);
        Py_END_ALLOW_THREADS
    }
    return give_back(&v, failed, done);
}

static PyObject *mod_power(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    PyObject *out, *a, *exponent_arg, *m;
    vectors v = {0};
    uint64_t exponent;
    int done = 0;
    if (!PyArg_ParseTuple(args, "zOOOO:mod_power", &name, &out, &a, &exponent_arg, &m)) return NULL;
    const int failed = take_vectors(&v, name, m, out, a, NULL, 1) ||
                       sfl_integer(&exponent, exponent_arg, "exponent", 0, UINT64_MAX);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        done = v.field->power(v.out.buf, v.a.buf, v.count, exponent, v.m);
        Py_END_ALLOW_THREADS
    }
    return give_back(&v, failed, done);
}

static PyObject *mod_inverse(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    PyObject *out, *a, *m;
    vectors v = {0};
    int done = 0;
    if (!PyArg_ParseTuple(args, "zOOO:mod_inverse", &name, &out, &a, &m)) return NULL;
    const int failed = take_vectors(&v, name, m, out, a, NULL, 0);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        done = v.field->inverse(v.out.buf, v.a.buf, v.count, v.m);
        Py_END_ALLOW_THREADS
    }
    return give_back(&v, failed, done);
}

/* ---- Sums, polynomials, Lagrange ---- */

static PyObject *mod_dot(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    PyObject *a_arg, *b_arg, *m_arg;
    Py_buffer a = {0}, b = {0};
    const sfl_mod_kernels *field = NULL;
    uint64_t m, sum = 0;
    int done = 0;
    if (!PyArg_ParseTuple(args, "zOOO:mod_dot", &name, &a_arg, &b_arg, &m_arg)) return NULL;
    const int failed = take_modulus(&m, m_arg) || !(field = find_field(name, m)) ||
                       sfl_view(&a, a_arg, "a", SFL_READ, 1, 8) || sfl_view(&b, b_arg, "b", SFL_READ, 1, 8) ||
                       sfl_shape(&b, "b", 0, a.shape[0]);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        done = field->dot(&sum, a.buf, b.buf, (size_t)a.shape[0], m);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&a);
    PyBuffer_Release(&b);
    if (failed) return NULL;
    return done ? PyLong_FromUnsignedLongLong(sum) : Py_NewRef(Py_None);
}

static PyObject *mod_evaluate(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    PyObject *out, *coefficients_arg, *points, *m;
    Py_buffer coefficients = {0};
    vectors v = {0};
    int done = 0;
    if (!PyArg_ParseTuple(args, "zOOOO:mod_evaluate", &name, &out, &coefficients_arg, &points, &m)) return NULL;
    const int failed = take_vectors(&v, name, m, out, points, NULL, 0) ||
                       sfl_view(&coefficients, coefficients_arg, "coefficients", SFL_READ, 1, 8) ||
                       sfl_apart(&v.out, &coefficients, "coefficients", 0);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        done = v.field->evaluate(v.out.buf, coefficients.buf, (size_t)coefficients.shape[0], 1, v.a.buf, v.count, v.m);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&coefficients);
    return give_back(&v, failed, done);
}

static PyObject *mod_lagrange(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    PyObject *out, *points, *at_arg, *m;
    vectors v = {0};
    uint64_t at, *scratch = NULL;
    int done = 0;
    if (!PyArg_ParseTuple(args, "zOOOO:mod_lagrange", &name, &out, &points, &at_arg, &m)) return NULL;
    const int failed = take_vectors(&v, name, m, out, points, NULL, 0) ||
                       sfl_integer(&at, at_arg, "at", 0, v.m - 1) || sfl_scratch(&scratch, v.count);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        done = sfl_mod_lagrange(v.field, v.out.buf, scratch, v.a.buf, v.count, at, v.m);
        Py_END_ALLOW_THREADS
    }
    PyMem_Free(scratch);
    return give_back(&v, failed, done);
}

/* ---- Shamir ---- */

static PyObject *shamir_share(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    PyObject *out_arg, *secrets_arg, *random_arg, *points_arg;
    Py_buffer out = {0}, secrets = {0}, random = {0}, points = {0};
    const sfl_mod_kernels *field = NULL;
    uint64_t *scratch = NULL;
    int done = 0;
    if (!PyArg_ParseTuple(args, "zOOOO:shamir_share", &name, &out_arg, &secrets_arg, &random_arg, &points_arg)) {
        return NULL;
    }
    const int failed =
        !(field = find_field(name, SFL_P61)) || sfl_view(&out, out_arg, "out", SFL_WRITE, 3, 8) ||
        sfl_view(&secrets, secrets_arg, "secrets", SFL_READ, 2, 1) ||
        sfl_view(&random, random_arg, "random", SFL_READ, 3, 8) ||
        sfl_view(&points, points_arg, "points", SFL_READ, 1, 8) || sfl_shape(&secrets, "secrets", 0, out.shape[0]) ||
        sfl_shape(&secrets, "secrets", 1, 32) || sfl_shape(&random, "random", 0, out.shape[0]) ||
        sfl_shape(&random, "random", 2, SFL_LIMBS) || sfl_shape(&points, "points", 0, out.shape[1]) ||
        sfl_shape(&out, "out", 2, SFL_LIMBS) || sfl_apart(&out, &secrets, "secrets", 0) ||
        sfl_apart(&out, &random, "random", 0) || sfl_apart(&out, &points, "points", 0) ||
        sfl_scratch(&scratch, SFL_LIMBS * ((size_t)random.shape[1] + 1));
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        done = sfl_shamir_share(field, out.buf, scratch, secrets.buf, random.buf, (size_t)out.shape[0],
                                (size_t)random.shape[1], points.buf, (size_t)points.shape[0]);
        Py_END_ALLOW_THREADS
    }
    PyMem_Free(scratch);
    PyBuffer_Release(&out);
    PyBuffer_Release(&secrets);
    PyBuffer_Release(&random);
    PyBuffer_Release(&points);
    return failed ? NULL : PyBool_FromLong(done);
}

static PyObject *shamir_reconstruct(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    PyObject *out_arg, *points_arg, *shares_arg;
    Py_buffer out = {0}, points = {0}, shares = {0};
    const sfl_mod_kernels *field = NULL;
    uint64_t *scratch = NULL;
    int done = 0;
    if (!PyArg_ParseTuple(args, "zOOO:shamir_reconstruct", &name, &out_arg, &points_arg, &shares_arg)) return NULL;
    const int failed =
        !(field = find_field(name, SFL_P61)) || sfl_view(&out, out_arg, "out", SFL_WRITE, 2, 1) ||
        sfl_view(&points, points_arg, "points", SFL_READ, 1, 8) ||
        sfl_view(&shares, shares_arg, "shares", SFL_READ, 3, 8) ||
        sfl_shape(&out, "out", 1, 32) || sfl_shape(&shares, "shares", 0, out.shape[0]) ||
        sfl_shape(&shares, "shares", 1, points.shape[0]) || sfl_shape(&shares, "shares", 2, SFL_LIMBS) ||
        sfl_apart(&out, &points, "points", 0) || sfl_apart(&out, &shares, "shares", 0) ||
        sfl_scratch(&scratch, 2 * (size_t)points.shape[0]);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        done = sfl_shamir_reconstruct(field, out.buf, scratch, points.buf, shares.buf, (size_t)out.shape[0],
                                      (size_t)points.shape[0]);
        Py_END_ALLOW_THREADS
    }
    PyMem_Free(scratch);
    PyBuffer_Release(&out);
    PyBuffer_Release(&points);
    PyBuffer_Release(&shares);
    return failed ? NULL : PyBool_FromLong(done);
}

#define METHOD(name, arguments, meaning) {#name, name, METH_VARARGS, PyDoc_STR(#name arguments "\n--\n\n" meaning)}

PyMethodDef sfl_field_methods[] = {
    {"mod_backends", mod_backends, METH_O, PyDoc_STR("mod_backends(m, /)\n--\n\nThose that serve m, best first.")},
    METHOD(mod_add, "(backend, out, a, b, m, /)", "out = a + b; False when one is no residue."),
    METHOD(mod_sub, "(backend, out, a, b, m, /)", "out = a - b; False when one is no residue."),
    METHOD(mod_mul, "(backend, out, a, b, m, /)", "out = a * b; False when one is no residue."),
    METHOD(mod_scale, "(backend, out, a, factor, m, /)", "out = a * factor; False when one is no residue."),
    METHOD(mod_power, "(backend, out, a, exponent, m, /)", "out = a ** exponent; False when one is no residue."),
    METHOD(mod_inverse, "(backend, out, a, m, /)", "out = 1 / a; False when one is no residue or has no inverse."),
    METHOD(mod_dot, "(backend, a, b, m, /)", "The sum of a * b; None when one is no residue."),
    METHOD(mod_evaluate, "(backend, out, coefficients, points, m, /)", "out = values; False when one is no residue."),
    METHOD(mod_lagrange, "(backend, out, points, at, m, /)", "Weights of f(at); False when there are none."),
    METHOD(shamir_share, "(backend, out, secrets, random, points, /)", "False when a word is no field element."),
    METHOD(shamir_reconstruct, "(backend, out, points, shares, /)", "False when the shares give no secrets."),
    {NULL, NULL, 0, NULL},
};
