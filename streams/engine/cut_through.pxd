cimport cython


@cython.final
cdef class OwnRecord:
    cdef object _output, _number

    cpdef topic(self)
    cpdef partition(self)
    cpdef offset(self)
    cpdef timestamp(self)
    cpdef key(self)
    cpdef value(self)
    cpdef headers(self)
