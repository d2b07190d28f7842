"""CPython's own functions as this package needs them, with references that are counted by hand."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF

cdef extern from "Python.h":
    # borrowed
    PyObject *PyDict_GetItemWithError(dict, object) except? NULL
    # owned by the caller
    PyObject *PyLong_FromLongLong(long long) except NULL
    PyObject *PyObject_Vectorcall(object, PyObject **, size_t, object) except NULL
    PyObject *PyUnicode_DecodeUTF8(const char *, Py_ssize_t, const char *) except NULL

    const char *PyUnicode_AsUTF8AndSize(object, Py_ssize_t *) except NULL

    ctypedef struct PyMemberDef:
        int type
        Py_ssize_t offset
    ctypedef struct PyMemberDescrObject:
        PyMemberDef *d_member

cdef extern from "structmember.h":
    int T_OBJECT_EX


cdef inline PyObject *owned(object value) noexcept:
    Py_INCREF(value)
    return <PyObject *>value


cdef inline object claimed(PyObject *value):
    """Take over a reference that the caller owns."""
    taken = <object>value
    Py_DECREF(taken)
    return taken
