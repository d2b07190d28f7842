cimport cython


cpdef Py_ssize_t check_size(str topic, key, value, headers=*) except -1


@cython.locals(size=Py_ssize_t)
cpdef Py_ssize_t values_size(list messages) except -1
