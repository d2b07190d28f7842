cimport cython

from streams.engine.sizes cimport check_size
from streams.engine.unit cimport Batch


@cython.final
cdef class Outlet:
    cdef public object topic, partitions, encode_key, encode_value
    cdef object _stamp, _round

    cpdef send(self, Batch batch, key, value)
    @cython.locals(size=Py_ssize_t)
    cpdef add(self, Batch batch, key, value, partition, headers, stamp_ms)
