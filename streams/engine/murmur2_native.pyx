# cython: boundscheck=False, wraparound=False, cdivision=True
"""murmur2.py in C."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    M = 0x5BD1E995
    SEED = 0x9747B28C


cdef uint32_t murmur2(const uint8_t *at, Py_ssize_t size) noexcept:
    cdef uint32_t h = <uint32_t>SEED ^ <uint32_t>size, k
    while size >= 4:
        k = at[0] | <uint32_t>at[1] << 8 | <uint32_t>at[2] << 16 | <uint32_t>at[3] << 24
        k *= M
        k = (k ^ k >> 24) * M
        h = h * M ^ k
        at += 4
        size -= 4
    if size:
        k = at[0]
        if size > 1:
            k |= <uint32_t>at[1] << 8
        if size > 2:
            k |= <uint32_t>at[2] << 16
        h = (h ^ k) * M
    h = (h ^ h >> 13) * M
    return (h ^ h >> 15) & 0x7FFFFFFF


def partition_of(bytes key not None, int count):
    if count < 1:
        raise ValueError("a topic has at least one partition")
    return murmur2(<const uint8_t *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key)) % <uint32_t>count
