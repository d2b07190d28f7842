cimport cython

from streams.engine.shard cimport Shard
from streams.engine.unit cimport Batch


cdef class Rows:
    cdef public dict shards
    cdef public object encode_key, decode_key, encode_value, decode_value
    cdef public bint followed

    @cython.locals(shard=Shard)
    cdef _row(self, Batch batch, key, default)

    cdef _write(self, Batch batch, key, value)
