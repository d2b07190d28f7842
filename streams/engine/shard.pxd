cimport cython

from streams.engine.coding cimport encode_text
from streams.engine.sizes cimport check_size


@cython.final
cdef class Shard:
    cdef public object store, changelog, follows, position
    cdef public dict kept, pending, committing
    cdef public Py_ssize_t cached, stored
    cdef object _encode_key, _decode_key, _decode_value
    cdef bint _text
    cdef dict _young, _old
    cdef Py_ssize_t _young_bytes

    cpdef get(self, key, dict changes)

    @cython.locals(size=Py_ssize_t)
    cpdef Py_ssize_t put(self, dict changes, key, value, encoded) except -1

    cpdef delete(self, dict changes, key)
    cpdef forget(self)
    cdef _load(self, key, dict changes)
    cdef _remember(self, key, value, Py_ssize_t size)
    cdef _age(self)
