# cython: boundscheck=False, wraparound=False, cdivision=True
"""Record batches as Kafka keeps them (message format 2), built from a unit's outputs and rows.

A batch is a header of 61 bytes and its records; the checksum is over all that follows it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int16_t, int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>

    static uint32_t crc32c_table[256];

    static void crc32c_prepare(void) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t crc = i;
            for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0x82F63B78u : crc >> 1;
            crc32c_table[i] = crc;
        }
    }

    static uint32_t crc32c_by_table(uint32_t crc, const unsigned char *at, size_t size) {
        while (size--) crc = crc32c_table[(crc ^ *at++) & 0xFF] ^ crc >> 8;
        return crc;
    }

    #if defined(__x86_64__) && defined(__GNUC__)
    __attribute__((target("sse4.2")))
    static uint32_t crc32c_by_sse(uint32_t crc, const unsigned char *at, size_t size) {
        uint64_t wide = crc, word;
        for (; size >= 8; at += 8, size -= 8) {
            memcpy(&word, at, 8);
            wide = __builtin_ia32_crc32di(wide, word);
        }
        crc = (uint32_t)wide;
        while (size--) crc = __builtin_ia32_crc32qi(crc, *at++);
        return crc;
    }
    static uint32_t crc32c(const unsigned char *at, size_t size) {
        return ~(__builtin_cpu_supports("sse4.2") ? crc32c_by_sse : crc32c_by_table)(~0u, at, size);
    }
    #else
    static uint32_t crc32c(const unsigned char *at, size_t size) {
        return ~crc32c_by_table(~0u, at, size);
    }
    #endif
    """
    void crc32c_prepare() nogil
    uint32_t crc32c(const unsigned char *, size_t) nogil
    uint32_t crc32c_by_table(uint32_t, const unsigned char *, size_t) nogil

crc32c_prepare()

cdef enum:
    HEADER = 61
    LENGTH_AT = 8
    MAGIC_AT = 16
    CHECKSUM_AT = 17
    CHECKED_FROM = 21
    TRANSACTIONAL = 0x10
    BEFORE_LENGTH = 12  # the base offset and the length itself


def checksum(bytes data not None, bint portable=False):
    """CRC-32C (Castagnoli) of these; `portable`: without the processor's own instruction."""
    cdef const unsigned char *at = <const unsigned char *>PyBytes_AS_STRING(data)
    if portable:
        return <uint32_t>~crc32c_by_table(<uint32_t>0xFFFFFFFF, at, PyBytes_GET_SIZE(data))
    return crc32c(at, PyBytes_GET_SIZE(data))


cdef inline Py_ssize_t width(int64_t number) noexcept nogil:
    """Bytes of a number in zigzag and base 128."""
    cdef uint64_t left = <uint64_t>number << 1 ^ <uint64_t>(number >> 63)
    cdef Py_ssize_t count = 1
    while left > 0x7F:
        left >>= 7
        count += 1
    return count


cdef inline char *put_varint(char *at, int64_t number) noexcept nogil:
    cdef uint64_t left = <uint64_t>number << 1 ^ <uint64_t>(number >> 63)
    while left > 0x7F:
        at[0] = <char>(left & 0x7F | 0x80)
        at += 1
        left >>= 7
    at[0] = <char>left
    return at + 1


cdef inline void put_big(char *at, int64_t number, int size) noexcept nogil:
    while size:
        size -= 1
        at[size] = <char>(number & 0xFF)
        number >>= 8


cdef inline char *put_bytes(char *at, object data) noexcept:
    """A key or a value: its length, -1 for None, and itself."""
    if data is None:
        return put_varint(at, -1)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    at = put_varint(at, size)
    memcpy(at, PyBytes_AS_STRING(data), size)
    return at + size


cdef inline Py_ssize_t size_of(object data) except -1:
    """Bytes of a key or a value in a record. Raises TypeError."""
    if data is None:
        return 1
    if not isinstance(data, bytes):
        raise TypeError(f"keys and values are bytes, not {type(data).__name__}")
    return width(PyBytes_GET_SIZE(data)) + PyBytes_GET_SIZE(data)


cdef class Batch:
    """Consecutive records of one partition."""

    cdef char *_at
    cdef Py_ssize_t _used, _room
    cdef int64_t _first_ms, _last_ms
    cdef readonly int count
    """How many records it has."""

    def __cinit__(self):
        self._at = NULL
        self._used, self._room = HEADER, 0

    def __dealloc__(self):
        PyMem_Free(self._at)

    @property
    def size(self):
        """Its bytes."""
        return self._used

    cdef bint _grow(self, Py_ssize_t needed) except False:
        cdef Py_ssize_t room = max(4096, 2 * self._room, needed)
        cdef char *at = <char *>PyMem_Realloc(self._at, room)
        if at is NULL:
            raise MemoryError
        self._at, self._room = at, room
        return True

    cdef bint add(
        self, object key, object value, object headers, int64_t ms, Py_ssize_t limit
    ) except -1:
        """Append a record; False, and nothing is done, if the batch would be over its limit."""
        cdef Py_ssize_t text_size
        cdef int64_t later = 0 if not self.count else ms - self._first_ms
        cdef Py_ssize_t size = (
            1 + width(later) + width(self.count) + size_of(key) + size_of(value)
        )
        cdef Py_ssize_t heads = 0 if headers is None else len(headers)
        size += width(heads)
        if heads:
            for name, content in headers:
                PyUnicode_AsUTF8AndSize(name, &text_size)
                size += width(text_size) + text_size + size_of(content)
        cdef Py_ssize_t used = self._used + width(size) + size
        if used > limit and self.count:
            return False
        if used > self._room:
            self._grow(used)
        cdef char *at = put_varint(self._at + self._used, size)
        at[0] = 0
        at = put_varint(put_varint(at + 1, later), self.count)
        at = put_varint(put_bytes(put_bytes(at, key), value), heads)
        cdef const char *text
        if heads:
            for name, content in headers:
                text = PyUnicode_AsUTF8AndSize(name, &text_size)
                at = put_varint(at, text_size)
                memcpy(at, text, text_size)
                at = put_bytes(at + text_size, content)
        self._used = at - self._at
        if not self.count:
            self._first_ms = self._last_ms = ms
        elif ms > self._last_ms:
            self._last_ms = ms
        self.count += 1
        return True

    def finish(self, int64_t producer, int16_t epoch, int32_t sequence):
        """The batch as it is sent, of this producer's transaction; `sequence` is its first's."""
        cdef char *at = self._at
        put_big(at, 0, 8)
        put_big(at + LENGTH_AT, self._used - BEFORE_LENGTH, 4)
        put_big(at + 12, -1, 4)
        at[MAGIC_AT] = 2
        put_big(at + CHECKED_FROM, TRANSACTIONAL, 2)
        put_big(at + 23, self.count - 1, 4)
        put_big(at + 27, self._first_ms, 8)
        put_big(at + 35, self._last_ms, 8)
        put_big(at + 43, producer, 8)
        put_big(at + 51, epoch, 2)
        put_big(at + 53, sequence, 4)
        put_big(at + 57, self.count, 4)
        put_big(
            at + CHECKSUM_AT,
            crc32c(<const unsigned char *>at + CHECKED_FROM, self._used - CHECKED_FROM),
            4,
        )
        return PyBytes_FromStringAndSize(at, self._used)


cdef class Batches:
    """The batches of a unit, by topic and partition, in the order of their records.

    `limits`: bytes of a batch of a topic at most, where they are not `limit`. A record that is
    larger has a batch for itself. `partition_of(topic, key)` chooses where none is given.
    """

    cdef readonly dict of
    cdef int64_t _now_ms
    cdef Py_ssize_t _limit
    cdef dict _limits
    cdef object _partition_of

    def __init__(self, int64_t now_ms, Py_ssize_t limit, dict limits, object partition_of):
        self.of = {}
        self._now_ms, self._limit, self._limits = now_ms, limit, limits
        self._partition_of = partition_of

    cdef bint _add(
        self, list batches, object topic, object key, object value, object headers, int64_t ms
    ) except False:
        cdef Py_ssize_t limit = self._limit
        if self._limits:
            limit = self._limits.get(topic, limit)
        if not (<Batch>batches[len(batches) - 1]).add(key, value, headers, ms, limit):
            batches.append(Batch())
            (<Batch>batches[len(batches) - 1]).add(key, value, headers, ms, limit)
        return True

    def add_outputs(self, object outputs):
        """Records to produce: topic, partition, key, value, headers, time in ms or None."""
        cdef list batches
        cdef dict of = self.of
        for topic, partition, key, value, headers, ms in outputs:
            if partition < 0:
                partition = self._partition_of(topic, key)
            place = (topic, partition)
            found = of.get(place)
            if found is None:
                found = of[place] = [Batch()]
            batches = found
            self._add(
                batches, topic, key, value, headers, self._now_ms if ms is None else <int64_t>ms
            )

    def add_rows(self, object topic, object partition, dict rows):
        """Rows of a changelog's partition, by their keys."""
        cdef list batches = self.of.setdefault((topic, partition), [Batch()])
        for key, value in rows.items():
            self._add(batches, topic, key, value, None, self._now_ms)
