#include "binding.h"

/* ---- GF(2^61 - 1) ---- */

static PyObject *p61_powers(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *out_arg, *points_arg;
    Py_buffer out = {0}, points = {0};
    if (!PyArg_ParseTuple(args, "OO:p61_powers", &out_arg, &points_arg)) return NULL;
    int failed = sfl_view(&out, out_arg, "out", SFL_WRITE, 2, 8) || sfl_view(&points, points_arg, "points", SFL_READ, 1, 8) ||
                 sfl_shape(&out, "out", 0, points.shape[0]) || sfl_apart(&out, &points, "points", 0);
    if (!failed && out.len > 0) {
        Py_BEGIN_ALLOW_THREADS
        sfl_p61_powers(out.buf, points.buf, (size_t)out.shape[0], (size_t)out.shape[1]);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&out);
    PyBuffer_Release(&points);
    return sfl_none(failed);
}

static PyObject *p61_weights(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *out_arg, *points_arg;
    Py_buffer out = {0}, points = {0};
    if (!PyArg_ParseTuple(args, "OO:p61_weights", &out_arg, &points_arg)) return NULL;
    int failed = sfl_view(&out, out_arg, "out", SFL_WRITE, 1, 8) || sfl_view(&points, points_arg, "points", SFL_READ, 1, 8) ||
                 sfl_shape(&out, "out", 0, points.shape[0]) || sfl_apart(&out, &points, "points", 0);
    uint64_t *scratch = failed ? NULL : PyMem_Malloc((size_t)points.len);
    if (scratch) {
        Py_BEGIN_ALLOW_THREADS
        sfl_p61_weights(out.buf, scratch, points.buf, (size_t)points.shape[0]);
        Py_END_ALLOW_THREADS
        PyMem_Free(scratch);
    } else if (!failed) {
        PyErr_NoMemory();
        failed = 1;
    }
    PyBuffer_Release(&out);
    PyBuffer_Release(&points);
    return sfl_none(failed);
}

static PyObject *p61_combine(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *out_arg, *matrix_arg, *values_arg;
    Py_buffer out = {0}, matrix = {0}, values = {0};
    if (!PyArg_ParseTuple(args, "OOO:p61_combine", &out_arg, &matrix_arg, &values_arg)) return NULL;
    int failed = sfl_view(&out, out_arg, "out", SFL_WRITE, 3, 8) || sfl_view(&matrix, matrix_arg, "matrix", SFL_READ, 2, 8) ||
                 sfl_view(&values, values_arg, "values", SFL_READ, 3, 8) || sfl_shape(&values, "values", 0, out.shape[0]) ||
                 sfl_shape(&matrix, "matrix", 0, out.shape[1]) || sfl_shape(&values, "values", 1, matrix.shape[1]) ||
                 sfl_shape(&out, "out", 2, SFL_LIMBS) || sfl_shape(&values, "values", 2, SFL_LIMBS) ||
                 sfl_apart(&out, &matrix, "matrix", 0) || sfl_apart(&out, &values, "values", 0);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        sfl_p61_combine(out.buf, matrix.buf, values.buf, (size_t)out.shape[0], (size_t)out.shape[1],
                        (size_t)matrix.shape[1]);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&out);
    PyBuffer_Release(&matrix);
    PyBuffer_Release(&values);
    return sfl_none(failed);
}

/* ---- Any odd modulus ---- */

static int take_modulus(uint64_t *m, PyObject *object)
{
    if (sfl_integer(m, object, "modulus", 3, UINT64_MAX)) return -1;
    if (*m & 1) return 0;
    PyErr_SetString(PyExc_ValueError, "modulus is even");
    return -1;
}

static PyObject *binary(PyObject *args, sfl_mod_fn *kernel)
{
    PyObject *out_arg, *a_arg, *b_arg, *m_arg;
    Py_buffer out = {0}, a = {0}, b = {0};
    uint64_t m;
    if (!PyArg_ParseTuple(args, "OOOO", &out_arg, &a_arg, &b_arg, &m_arg)) return NULL;
    int failed = take_modulus(&m, m_arg) || sfl_view(&out, out_arg, "out", SFL_WRITE, 1, 8) ||
                 sfl_view(&a, a_arg, "a", SFL_READ, 1, 8) || sfl_view(&b, b_arg, "b", SFL_READ, 1, 8) ||
                 sfl_shape(&a, "a", 0, out.shape[0]) || sfl_shape(&b, "b", 0, out.shape[0]) ||
                 sfl_apart(&out, &a, "a", 1) || sfl_apart(&out, &b, "b", 1);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        kernel(out.buf, a.buf, b.buf, (size_t)out.shape[0], m);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&out);
    PyBuffer_Release(&a);
    PyBuffer_Release(&b);
    return sfl_none(failed);
}

static PyObject *mod_add(PyObject *Py_UNUSED(module), PyObject *args)
{
    return binary(args, sfl_mod_add);
}

static PyObject *mod_sub(PyObject *Py_UNUSED(module), PyObject *args)
{
    return binary(args, sfl_mod_sub);
}

static PyObject *mod_mul(PyObject *Py_UNUSED(module), PyObject *args)
{
    return binary(args, sfl_mod_mul);
}

static PyObject *mod_power(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *out_arg, *a_arg, *exponent_arg, *m_arg;
    Py_buffer out = {0}, a = {0};
    uint64_t m, exponent;
    if (!PyArg_ParseTuple(args, "OOOO:mod_power", &out_arg, &a_arg, &exponent_arg, &m_arg)) return NULL;
    int failed = take_modulus(&m, m_arg) || sfl_integer(&exponent, exponent_arg, "exponent", 0, UINT64_MAX) ||
                 sfl_view(&out, out_arg, "out", SFL_WRITE, 1, 8) || sfl_view(&a, a_arg, "a", SFL_READ, 1, 8) ||
                 sfl_shape(&a, "a", 0, out.shape[0]) || sfl_apart(&out, &a, "a", 1);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        sfl_mod_power(out.buf, a.buf, (size_t)out.shape[0], exponent, m);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&out);
    PyBuffer_Release(&a);
    return sfl_none(failed);
}

static PyObject *mod_inverse(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *out_arg, *a_arg, *m_arg;
    Py_buffer out = {0}, a = {0};
    uint64_t m;
    int invertible = 0;
    if (!PyArg_ParseTuple(args, "OOO:mod_inverse", &out_arg, &a_arg, &m_arg)) return NULL;
    int failed = take_modulus(&m, m_arg) || sfl_view(&out, out_arg, "out", SFL_WRITE, 1, 8) ||
                 sfl_view(&a, a_arg, "a", SFL_READ, 1, 8) || sfl_shape(&a, "a", 0, out.shape[0]) ||
                 sfl_apart(&out, &a, "a", 0);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        invertible = sfl_mod_inverse(out.buf, a.buf, (size_t)out.shape[0], m);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&out);
    PyBuffer_Release(&a);
    return failed ? NULL : PyBool_FromLong(invertible);
}

static PyObject *mod_dot(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *a_arg, *b_arg, *m_arg;
    Py_buffer a = {0}, b = {0};
    uint64_t m, sum = 0;
    if (!PyArg_ParseTuple(args, "OOO:mod_dot", &a_arg, &b_arg, &m_arg)) return NULL;
    int failed = take_modulus(&m, m_arg) || sfl_view(&a, a_arg, "a", SFL_READ, 1, 8) ||
                 sfl_view(&b, b_arg, "b", SFL_READ, 1, 8) || sfl_shape(&b, "b", 0, a.shape[0]);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        sum = sfl_mod_dot(a.buf, b.buf, (size_t)a.shape[0], m);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&a);
    PyBuffer_Release(&b);
    return failed ? NULL : PyLong_FromUnsignedLongLong(sum);
}

PyMethodDef sfl_field_methods[] = {
    {"p61_powers", p61_powers, METH_VARARGS, PyDoc_STR("p61_powers(out, points, /)\n--\n\nout[i, k] = points[i] ** k.")},
    {"p61_weights", p61_weights, METH_VARARGS, PyDoc_STR("p61_weights(out, points, /)\n--\n\nLagrange weights at zero.")},
    {"p61_combine", p61_combine, METH_VARARGS,
     PyDoc_STR("p61_combine(out, matrix, values, /)\n--\n\nout[s] = matrix @ values[s].")},
    {"mod_add", mod_add, METH_VARARGS, PyDoc_STR("mod_add(out, a, b, m, /)\n--\n\nout = a + b.")},
    {"mod_sub", mod_sub, METH_VARARGS, PyDoc_STR("mod_sub(out, a, b, m, /)\n--\n\nout = a - b.")},
    {"mod_mul", mod_mul, METH_VARARGS, PyDoc_STR("mod_mul(out, a, b, m, /)\n--\n\nout = a * b.")},
    {"mod_power", mod_power, METH_VARARGS, PyDoc_STR("mod_power(out, a, exponent, m, /)\n--\n\nout = a ** exponent.")},
    {"mod_inverse", mod_inverse, METH_VARARGS, PyDoc_STR("mod_inverse(out, a, m, /)\n--\n\nFalse when one has none.")},
    {"mod_dot", mod_dot, METH_VARARGS, PyDoc_STR("mod_dot(a, b, m, /)\n--\n\nThe sum of a * b.")},
    {NULL, NULL, 0, NULL},
};
