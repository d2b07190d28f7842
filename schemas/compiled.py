"""A schema compiled to Python source: one function that writes its records, one that reads them.

fastavro walks the schema for every value, and takes what we refuse: a negative index of an enum
or a union, bytes left over, a number written too long, True for 1. Source that knows the schema
has nothing to walk and checks each value where it stands. native.pyx does the same in C, where it
could be built.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from schemas.coder import UNREADABLE, UNWRITABLE, Coder, Refusal, Run
from schemas.shape import Field, Shape, records_in
from schemas.varint import DATE, INT, LONG, read_date, read_int, read_long, read_size

NAME = "generated Python"

FRAME = 5
"""Bytes before the value: 0x00 and the schema id."""


class Compiled:
    """One function and, for each line of its source, the field that the line is about."""

    def __init__(self, source: "_Source", name: str, file: str) -> None:
        code = compile("\n".join(source.lines), file, "exec")
        exec(code, source.names)  # noqa: S102  # made below, of schemas that are in the package
        self.run: Run = source.names[name]
        self._fields = source.fields
        self._file = file

    def field(self, error: BaseException) -> tuple[str, str]:
        """The path of the field that the error was raised at, and what it has to be."""
        path: list[Field] = []
        frame = error.__traceback__
        while frame is not None:
            if frame.tb_frame.f_code.co_filename == self._file:
                field = self._fields[frame.tb_lineno - 1]
                if field is not None and (not path or path[-1] is not field):
                    path.append(field)
            frame = frame.tb_next
        return ".".join(field.name for field in path), path[-1].wanted if path else ""


def compile_writer(shape: Shape, head: bytes, types: Mapping[str, type]) -> Compiled:
    """Compile record -> `head` and Avro; `types`: the class of each record by name, or dict.

    What it raises for a value that does not fit: TypeError, AttributeError, LookupError,
    OverflowError or UnicodeEncodeError.
    """
    source = _Source(INT=INT, LONG=LONG, DATE=DATE, HEAD=head, date=date, join=b"".join)
    source.use(types)
    for name, record in records_in(shape).items():
        _write_record(source, record, outermost=name == shape.name)
    return Compiled(source, f"write_{shape.name}", f"<{shape.name} to Avro>")


def compile_reader(shape: Shape, types: Mapping[str, type]) -> Compiled:
    """Compile framed payload -> record; the first FRAME bytes are not looked at.

    `types`: the class of each record by name, or dict. What it raises for bytes that do not fit:
    LookupError or ValueError.
    """
    source = _Source(
        read_int=read_int, read_long=read_long, read_size=read_size, read_date=read_date
    )
    source.use(types)
    for record in records_in(shape).values():
        _read_record(source, record)
    source.add(
        "def read(b):",
        f" v, i = read_{shape.name}(b, {FRAME})",
        " if i == len(b): return v",
        " if i > len(b): raise IndexError",
        " raise ValueError(f'{len(b) - i} bytes too many')",
    )
    return Compiled(source, "read", f"<{shape.name} from Avro>")


def by_type(writers: Mapping[type, Coder], refusal: Refusal) -> Run:
    """Write with the writer of the record's type; raises what `refusal` makes of an error."""
    runs = {type_: writer.run for type_, writer in writers.items()}

    def write(record: object) -> object:
        try:
            return runs[type(record)](record)
        except UNWRITABLE as error:
            raise refusal(record, error) from None

    return write


def by_head(readers: Mapping[bytes, Coder], refusal: Refusal) -> Run:
    """Read with the reader of the payload's head; raises what `refusal` makes of an error."""
    runs = {head: reader.run for head, reader in readers.items()}

    def read(payload: object) -> object:
        try:
            if type(payload) is not bytes:
                raise TypeError  # it is told of like any other
            return runs[payload[:FRAME]](payload)
        except UNREADABLE as error:
            raise refusal(payload, error) from None

    return read


class _Source:
    """Lines, the field of each, the names they use; `add` writes of the field at hand."""

    def __init__(self, **names: object) -> None:
        self.names: dict[str, Any] = names
        self.lines: list[str] = []
        self.fields: list[Field | None] = []
        self.field: Field | None = None

    def use(self, types: Mapping[str, type]) -> None:
        self.names.update({f"type_{name}": made for name, made in types.items()})

    def add(self, *lines: str) -> None:
        self.lines += lines
        self.fields += [self.field] * len(lines)


def _write_record(source: _Source, shape: Shape, *, outermost: bool) -> None:
    source.add(f"def write_{shape.name}(r):")
    if not outermost:  # the type of the outermost is known to who calls
        source.add(f" if type(r) is not type_{shape.name}: raise TypeError")
    values: list[tuple[Field, str]] = []
    for number, field in enumerate(shape.fields):
        source.field, v = field, f"v{number}"
        of_dict = source.names[f"type_{shape.name}"] is dict
        source.add(f" {v} = r[{field.name!r}]" if of_dict else f" {v} = r.{field.name}")
        checks, parts = _write_value(source, field.shape, v)
        if field.optional:
            source.add(f" if {v} is None: {v} = b'\\0'", " else:")
            source.add(*(f"  {line}" for line in checks), f"  {v} = b'\\2' + {' + '.join(parts)}")
            parts = [v]
        else:
            source.add(*(f" {line}" for line in checks))
        values.append((field, ", ".join(parts)))
    source.field = None
    source.add(f" return join(({'HEAD,' if outermost else ''}")
    for source.field, value in values:
        source.add(f"  {value},")
    source.field = None
    source.add(" ))")


def _write_value(source: _Source, shape: Shape, v: str) -> tuple[list[str], list[str]]:
    """Lines that check the variable `v`, and expressions that are its bytes, one after another."""
    match shape.kind:
        case "string":
            return [f"{v} = {v}.encode()"], [f"LONG[len({v})]", v]
        case "int" | "long":
            # True and 1.0 would be found in the memory of encodings, being equal to 1.
            return [f"if type({v}) is not int: raise TypeError"], [f"{shape.kind.upper()}[{v}]"]
        case "date":
            return [f"if type({v}) is not date: raise TypeError"], [f"DATE[{v}]"]
        case "enum":
            source.names[f"SYMBOLS_{shape.name}"] = {
                s: LONG[i] for i, s in enumerate(shape.symbols)
            }
            return [], [f"SYMBOLS_{shape.name}[{v}]"]
        case "record":
            return [], [f"write_{shape.name}({v})"]
        case "array":
            checks, parts = _write_value(source, shape.fields[0].shape, "x")
            lines = [
                f"if type({v}) is not list: raise TypeError",
                f"n = len({v})",
                "y = [LONG[n]] if n else []",
                f"for x in {v}:",
                " n -= 1",
                *(f" {line}" for line in checks),
                f" y += ({', '.join(parts)},)",
                "if n: raise ValueError('a list that changes while it is written')",
                f"{v} = join(y)",
            ]
            return lines, [v, "b'\\0'"]


def _read_record(source: _Source, shape: Shape) -> None:
    source.add(f"def read_{shape.name}(b, i):")
    for number, field in enumerate(shape.fields):
        source.field, v = field, f"v{number}"
        if field.optional:
            source.add(" n = b[i]; i += 1", f" if n == 0: {v} = None", " elif n == 2:")
            source.add(*(f"  {line}" for line in _read_value(source, field.shape, v)))
            source.add(" else: raise ValueError('neither null nor a value')")
        else:
            source.add(*(f" {line}" for line in _read_value(source, field.shape, v)))
    source.field = None
    values = ", ".join(f"{field.name}=v{number}" for number, field in enumerate(shape.fields))
    source.add(f" return type_{shape.name}({values}), i")


def _read_value(source: _Source, shape: Shape, v: str) -> list[str]:
    """Lines that read the bytes `b` from `i` on into the variable `v` and move `i` behind it."""
    match shape.kind:
        case "string":
            return [
                "n = b[i]; i += 1",
                "if n & 0x81: n, i = read_size(b, i - 1)",
                f"j = i + (n >> 1); {v} = b[i:j].decode(); i = j",
            ]
        case "int" | "long":
            return [
                "n = b[i]",
                f"if n < 0x80: {v} = (n >> 1) ^ -(n & 1); i += 1",
                f"else: {v}, i = read_{shape.kind}(b, i)",
            ]
        case "date":
            return [f"{v}, i = read_date(b, i)"]
        case "enum":
            source.names[f"SYMBOLS_{shape.name}"] = {2 * i: s for i, s in enumerate(shape.symbols)}
            return [f"{v} = SYMBOLS_{shape.name}[b[i]]; i += 1"]
        case "record":
            return [f"{v}, i = read_{shape.name}(b, i)"]
        case "array":
            return _read_list(v, _read_value(source, shape.fields[0].shape, "x"))


def _read_list(v: str, item: list[str]) -> list[str]:
    """Blocks of a count and as many items; a negative count is followed by the block's size."""
    return [
        f"{v} = []",
        "c, i = read_long(b, i)",
        "while c:",
        " end = None",
        " if c < 0:",
        "  c = -c; end, i = read_long(b, i); end += i",
        " if c > len(b) - i: raise IndexError",  # nothing takes less than a byte
        " for _ in range(c):",
        *(f"  {line}" for line in item),
        f"  {v}.append(x)",
        " if end is not None and end != i: raise ValueError('a block of another size')",
        " c, i = read_long(b, i)",
    ]
