cimport cython


@cython.final
@cython.no_gc  # an output holds no record
@cython.freelist(64)
cdef class OwnRecord:
    cdef object _output, _number

    cpdef topic(self)
    cpdef partition(self)
    cpdef offset(self)
    cpdef timestamp(self)
    cpdef key(self)
    cpdef value(self)
    cpdef headers(self)
