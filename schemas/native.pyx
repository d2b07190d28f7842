# cython: boundscheck=False, wraparound=False, cdivision=True, auto_pickle=False
"""A schema as a tree of objects in C: what compiled.py does, in about a seventh of the time.

Bytes and values are trusted as little as there, and refused with the same errors. No byte is read
before it is known to be one of the payload's. Whatever could run Python code meanwhile (the
`__hash__` of a value, the `__post_init__` of a record, the garbage collector) finds every object
that is in use held, so it may change what is being written and do no harm.
"""

from sys import intern
from types import MemberDescriptorType

from cython import final
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.datetime cimport PyDate_CheckExact, date_day, date_month, date_new, date_year
from cpython.datetime cimport import_datetime
from cpython.list cimport PyList_GET_SIZE
from cpython.long cimport PyLong_AsLongLong, PyLong_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint8_t

from schemas.gregorian cimport DAYS, EPOCH, date_of, days_of
from schemas.python cimport (
    T_OBJECT_EX, PyDict_GetItemWithError, PyLong_FromLongLong, PyMemberDescrObject,
    PyObject_Vectorcall, PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8, claimed, owned,
)
from schemas.wire cimport FRAME, LONGEST, SMALL
from schemas.wire cimport Buffer, Cursor, present, put, put_bytes, reserve, take, take_byte

from schemas.coder import UNREADABLE, UNWRITABLE
from schemas.errors import BadSchema

import_datetime()

NAME = "compiled (Cython)"


cdef class Value:
    """A field of a record or the items of a list: writes what it has to be, and reads it."""

    cdef object field  # the Field of shape.py
    cdef bint optional
    cdef Py_ssize_t offset  # of the field in the memory of its record, unless this is a dict
    cdef Py_ssize_t room  # values that are kept at a time while it is read

    cdef int write(self, Buffer *to, object value) except -1:
        raise NotImplementedError

    cdef PyObject *read(self, Cursor *c) except NULL:
        """A reference that the caller owns."""
        raise NotImplementedError


cdef class Text(Value):
    cdef int write(self, Buffer *to, object value) except -1:
        cdef Py_ssize_t size
        cdef const char *text = PyUnicode_AsUTF8AndSize(value, &size)
        reserve(to, LONGEST)
        put(to, size)
        put_bytes(to, text, size)
        return 0

    cdef PyObject *read(self, Cursor *c) except NULL:
        cdef int64_t size = take(c)
        if size < 0:
            raise ValueError("a negative size")
        if size > c.end - c.at:
            raise IndexError
        c.at += size
        return PyUnicode_DecodeUTF8(<const char *>(c.at - size), size, NULL)


cdef class Number(Value):
    cdef bint int32

    def __cinit__(self, bint int32):
        self.int32 = int32

    cdef int write(self, Buffer *to, object value) except -1:
        cdef int64_t number
        if not PyLong_CheckExact(value):
            raise TypeError
        number = PyLong_AsLongLong(value)
        if self.int32 and number != <int32_t>number:
            raise OverflowError
        reserve(to, LONGEST)
        put(to, number)
        return 0

    cdef PyObject *read(self, Cursor *c) except NULL:
        cdef int64_t number = take(c)
        if self.int32 and number != <int32_t>number:
            raise ValueError("a number of more than 32 bits")
        return PyLong_FromLongLong(number)


cdef class Date(Value):
    cdef int write(self, Buffer *to, object value) except -1:
        if not PyDate_CheckExact(value):
            raise TypeError
        reserve(to, LONGEST)
        put(to, days_of(date_year(value), date_month(value), date_day(value)))
        return 0

    cdef PyObject *read(self, Cursor *c) except NULL:
        cdef int64_t days = take(c)
        cdef int year, month, day
        if not -EPOCH <= days < DAYS - EPOCH:
            raise ValueError("a date outside of the years 1 to 9999")
        date_of(<int>days, &year, &month, &day)
        return owned(date_new(year, month, day))


cdef class Enum(Value):
    cdef tuple symbols
    cdef dict indexes

    def __cinit__(self, shape):
        self.symbols = shape.symbols
        self.indexes = {symbol: index for index, symbol in enumerate(shape.symbols)}

    cdef int write(self, Buffer *to, object value) except -1:
        cdef PyObject *index = PyDict_GetItemWithError(self.indexes, value)
        if index == NULL:
            raise KeyError
        reserve(to, LONGEST)
        put(to, <object>index)
        return 0

    cdef PyObject *read(self, Cursor *c) except NULL:
        cdef uint8_t index = take_byte(c)  # shape.py lets no index need a second one
        if index & 1 or index >> 1 >= PyTuple_GET_SIZE(self.symbols):
            raise KeyError
        return owned(<object>PyTuple_GET_ITEM(self.symbols, index >> 1))


cdef class List(Value):
    cdef Value item

    def __cinit__(self, Value item not None):
        self.item = item
        self.room = item.room

    cdef int write(self, Buffer *to, object value) except -1:
        cdef Py_ssize_t size
        if type(value) is not list:
            raise TypeError
        size = PyList_GET_SIZE(value)
        reserve(to, LONGEST)
        if size:
            put(to, size)
        for item in <list>value:
            self.item.write(to, item)
            size -= 1
        if size:
            raise ValueError("a list that changes while it is written")
        reserve(to, 1)
        put(to, 0)
        return 0

    cdef PyObject *read(self, Cursor *c) except NULL:
        """Blocks of a count and as many items; a negative count is followed by the block's size."""
        cdef list items = []
        cdef int64_t count = take(c), size
        cdef const uint8_t *end
        while count:
            end = NULL
            if count < 0:
                size = take(c)
                if count < -(c.end - c.at) or not 0 <= size <= c.end - c.at:
                    raise IndexError
                count = -count
                end = c.at + size
            if count > c.end - c.at:  # nothing takes less than a byte
                raise IndexError
            while count:
                items.append(claimed(self.item.read(c)))
                count -= 1
            if end != NULL and end != c.at:
                raise ValueError("a block of another size")
            count = take(c)
        return owned(items)


cdef class Record(Value):
    cdef object type
    cdef bint is_dict
    cdef tuple values, names

    def __cinit__(self, shape, types):
        cdef Value value
        self.type = types[shape.name]
        self.is_dict = self.type is dict
        # the very strings that the type has as its names, so that they need not be compared
        self.names = tuple([intern(field.name) for field in shape.fields])
        self.values = tuple([value_of(field, types, self.type) for field in shape.fields])
        for value in self.values:
            self.room = max(self.room, value.room)
        self.room += len(self.values)

    cdef int write(self, Buffer *to, object record) except -1:
        cdef Py_ssize_t i
        cdef Value value = None
        if type(record) is not self.type:
            raise TypeError
        try:
            for i in range(PyTuple_GET_SIZE(self.values)):
                value = <Value>PyTuple_GET_ITEM(self.values, i)
                held = self.held(record, i, value.offset)
                if value.optional:
                    reserve(to, 1)
                    put(to, held is not None)
                if held is not None or not value.optional:
                    value.write(to, held)
        except Exception as error:
            note(error, value)
            raise
        return 0

    cdef inline object held(self, object record, Py_ssize_t i, Py_ssize_t offset):
        """The value of field `i`, of a record that is of this type."""
        cdef PyObject *value
        if self.is_dict:
            value = PyDict_GetItemWithError(record, <object>PyTuple_GET_ITEM(self.names, i))
        else:
            value = (<PyObject **>(<char *><PyObject *>record + offset))[0]
        if value == NULL:
            raise AttributeError
        return <object>value

    cdef PyObject *read(self, Cursor *c) except NULL:
        cdef PyObject **kept = c.free
        cdef Py_ssize_t size = 0
        cdef Value value = None
        c.free += PyTuple_GET_SIZE(self.values)
        try:
            while size < PyTuple_GET_SIZE(self.values):
                value = <Value>PyTuple_GET_ITEM(self.values, size)
                if value.optional and not present(c):
                    kept[size] = owned(None)
                else:
                    kept[size] = value.read(c)
                size += 1
            value = None
            return PyObject_Vectorcall(self.type, kept, 0, self.names)
        except Exception as error:
            if value is not None:
                note(error, value)
            raise
        finally:
            c.free = kept
            while size:
                size -= 1
                Py_DECREF(<object>kept[size])


cdef int note(error, Value value) except -1:
    """Let the error know which field it was met at, on its way out of nested records."""
    error.path = (value.field, *getattr(error, "path", ()))
    return 0


cdef Value value_of(field, types, owner):
    """What writes and reads the field; `owner` is the type of its record, None for items."""
    cdef Value value
    shape = field.shape
    if shape.kind == "record":
        value = Record(shape, types)
    elif shape.kind == "array":
        value = List(value_of(shape.fields[0], types, None))
    elif shape.kind == "enum":
        value = Enum(shape)
    elif shape.kind in ("int", "long"):
        value = Number(shape.kind == "int")
    else:
        value = {"string": Text, "date": Date}[shape.kind]()
    value.field = field
    value.optional = field.optional
    if owner is not None and owner is not dict:
        value.offset = offset_of(owner, field.name)
    return value


cdef Py_ssize_t offset_of(owner, str name) except -1:
    """Where an instance of this very type holds the field."""
    slot = getattr(owner, name)
    if type(slot) is MemberDescriptorType and issubclass(owner, slot.__objclass__):
        if (<PyMemberDescrObject *><PyObject *>slot).d_member.type == T_OBJECT_EX:
            return (<PyMemberDescrObject *><PyObject *>slot).d_member.offset
    raise BadSchema(f"{owner.__name__}.{name} has to be a plain field of a msgspec.Struct")


cdef class Coder:
    cdef Record record

    def field(self, error):
        """The path of the field that the error was raised at, and what it has to be."""
        path = getattr(error, "path", ())
        wanted = [field.wanted for field in path] or [""]
        return ".".join([field.name for field in path]), wanted.pop()


@final
cdef class Writer(Coder):
    cdef bytes head

    def __cinit__(self, shape, bytes head not None, types):
        self.record, self.head = Record(shape, types), head

    cpdef bytes run(self, record):
        """`head` and the record in Avro."""
        cdef Buffer to
        to.start = to.at = to.small
        to.end = to.small + SMALL
        try:
            put_bytes(&to, PyBytes_AS_STRING(self.head), PyBytes_GET_SIZE(self.head))
            self.record.write(&to, record)
            return PyBytes_FromStringAndSize(<char *>to.start, to.at - to.start)
        finally:
            if to.start != to.small:
                PyMem_Free(to.start)


@final
cdef class Reader(Coder):
    def __cinit__(self, shape, types):
        self.record = Record(shape, types)

    cpdef object run(self, bytes payload):
        """The record that the payload holds behind its head."""
        cdef Py_ssize_t size
        cdef PyObject **room
        cdef Cursor c
        if payload is None:
            raise TypeError
        size = PyBytes_GET_SIZE(payload)
        if size < FRAME:
            raise IndexError
        c.at = <const uint8_t *>PyBytes_AS_STRING(payload) + FRAME
        c.end = c.at + size - FRAME
        c.free = room = <PyObject **>PyMem_Malloc(self.record.room * sizeof(PyObject *))
        if room == NULL:
            raise MemoryError
        try:
            record = claimed(self.record.read(&c))
        finally:
            PyMem_Free(room)
        if c.at != c.end:
            raise ValueError(f"{c.end - c.at} bytes too many")
        return record


cdef class ByType:
    """Writers by the type of the record."""

    cdef dict writers
    cdef object refusal

    def __cinit__(self, writers, refusal):
        self.writers = {type_: <Writer?>writer for type_, writer in writers.items()}
        self.refusal = refusal

    def run(self, record):
        cdef PyObject *writer
        try:
            writer = PyDict_GetItemWithError(self.writers, type(record))
            if writer == NULL:
                raise KeyError
            return (<Writer>writer).run(record)
        except UNWRITABLE as error:
            raise self.refusal(record, error) from None


cdef class ByHead:
    """Readers by the first bytes of the payload."""

    cdef dict readers
    cdef object refusal

    def __cinit__(self, readers, refusal):
        self.readers, self.refusal = dict(readers), refusal

    def run(self, payload):
        try:
            return self.read(payload)
        except UNREADABLE as error:
            raise self.refusal(payload, error) from None

    cdef object read(self, bytes payload):
        cdef PyObject *reader
        if payload is None:
            raise TypeError
        if PyBytes_GET_SIZE(payload) < FRAME:
            raise IndexError
        head = PyBytes_FromStringAndSize(PyBytes_AS_STRING(payload), FRAME)
        reader = PyDict_GetItemWithError(self.readers, head)
        if reader == NULL:
            raise KeyError
        if type(<object>reader) is Reader:
            return (<Reader>reader).run(payload)
        return (<object>reader).run(payload)


compile_writer = Writer
compile_reader = Reader


def by_type(writers, refusal):
    return ByType(writers, refusal).run


def by_head(readers, refusal):
    return ByHead(readers, refusal).run
