"""Avro's bytes in C: written to a buffer that grows, read up to the end of the payload."""

from cpython.mem cimport PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX

cdef enum:
    FRAME = 5  # bytes before the value, as in compiled.py
    LONGEST = 10  # bytes of a number of 64 bits
    SMALL = 1024  # bytes of most records


cdef struct Buffer:
    uint8_t *start  # `small`, or memory that whoever made the buffer has to free
    uint8_t *at
    uint8_t *end
    uint8_t[SMALL] small


cdef struct Cursor:
    const uint8_t *at
    const uint8_t *end
    PyObject **free  # where the next record may keep its values


cdef inline int reserve(Buffer *to, Py_ssize_t size) except -1:
    """Let `size` bytes more fit."""
    return 0 if size <= to.end - to.at else grow(to, size)


cdef inline int grow(Buffer *to, Py_ssize_t size) except -1:
    cdef Py_ssize_t used = to.at - to.start, room
    cdef uint8_t *start
    if size > PY_SSIZE_T_MAX // 2 - used:
        raise MemoryError
    room = 2 * (used + size)
    if to.start == to.small:
        start = <uint8_t *>PyMem_Malloc(room)
        if start != NULL:
            memcpy(start, to.small, used)
    else:
        start = <uint8_t *>PyMem_Realloc(to.start, room)
    if start == NULL:
        raise MemoryError
    to.start = start
    to.at = start + used
    to.end = start + room
    return 0


cdef inline void put(Buffer *to, int64_t number) noexcept:
    """Write a zigzag varint; LONGEST bytes have to be reserved."""
    cdef uint64_t rest = (<uint64_t>number << 1) ^ <uint64_t>(number >> 63)
    while rest > 0x7F:
        to.at[0] = <uint8_t>(rest & 0x7F | 0x80)
        to.at += 1
        rest >>= 7
    to.at[0] = <uint8_t>rest
    to.at += 1


cdef inline int put_bytes(Buffer *to, const char *source, Py_ssize_t size) except -1:
    reserve(to, size)
    memcpy(to.at, source, size)
    to.at += size
    return 0


cdef inline uint8_t take_byte(Cursor *c) except? 255:
    if c.at >= c.end:
        raise IndexError
    c.at += 1
    return (c.at - 1)[0]


cdef inline int64_t take(Cursor *c) except? -1:
    """Read a zigzag varint of 64 bits at most, written no longer than it has to be."""
    cdef uint64_t number = 0
    cdef int shift = 0
    cdef uint8_t byte = 0x80
    while byte >= 0x80:
        byte = take_byte(c)
        if byte > 1 and shift == 63:
            raise ValueError("a number of more than 64 bits")
        number |= <uint64_t>(byte & 0x7F) << shift
        shift += 7
    if byte == 0 and shift > 7:
        raise ValueError("a number written longer than it has to be")
    return <int64_t>(number >> 1) ^ -<int64_t>(number & 1)


cdef inline bint present(Cursor *c) except -1:
    """Read the index of an optional field's union."""
    cdef uint8_t index = take_byte(c)
    if index & ~2:
        raise ValueError("neither null nor a value")
    return index != 0
