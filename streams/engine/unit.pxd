cimport cython

from streams.engine.shard cimport Shard


@cython.final
cdef class Step:
    cdef public object tp
    cdef public list messages, rest, outputs
    cdef public dict changes
    cdef public Py_ssize_t size


@cython.final
cdef class Batch:
    cdef public Step step
    cdef public list messages, outputs
    cdef public object partition, done, stamp_ms
    cdef public bint cuttable, full, singly, open
    cdef public Py_ssize_t size, together, index
    cdef public dict changes, poison
    cdef object _decode
    cdef list _values
    cdef dict _attempts
    cdef Py_ssize_t _start

    cpdef bint reach(self) except -1
    cpdef hold_open(self)
    cpdef send(self, output, Py_ssize_t size)

    @cython.locals(changes=dict)
    cpdef put(self, Shard shard, key, value, encoded)
