"""A body is written once for as long as what it says is the same."""

from msgspec.structs import replace

from api.written import LONGEST, Written
from tests.api.fakes import RESORT


class Pen:
    """Writes a body of so many bytes, and counts how often."""

    def __init__(self, length: int = 1) -> None:
        self.length, self.count = length, 0

    def __call__(self) -> bytes:
        """Write another one."""
        self.count += 1
        return bytes([self.count]) * self.length


ROW, ANOTHER = replace(RESORT), replace(RESORT)
assert ROW == ANOTHER


def test_the_same_rows_are_the_same_body() -> None:
    written, pen = Written(), Pen()
    assert [written.body("page", [ROW], pen) for _ in range(3)] == [b"\1"] * 3


def test_another_row_or_page_is_another_body_even_if_it_says_the_same() -> None:
    written, pen = Written(), Pen()
    for of, rows in (("page", [ROW]), ("page", [ANOTHER]), ("page", []), ("other", [ROW])):
        written.body(of, rows, pen)
    assert pen.count == 4


def test_rows_are_kept_with_their_body_so_that_no_other_is_taken_for_them() -> None:
    written, pen = Written(), Pen()
    for _ in range(100):  # each made where the one before would have been freed
        written.body("page", [replace(RESORT)], pen)
    assert pen.count == 100


def test_what_was_longest_not_asked_for_is_forgotten() -> None:
    written, pen = Written(most=30), Pen(length=10)
    for of in ("a", "b", "c", "a", "d"):
        written.body(of, [ROW], pen)
    assert (pen.count, written.size) == (4, 30)
    written.body("a", [ROW], pen)
    assert pen.count == 4
    written.body("b", [ROW], pen)
    assert pen.count == 5


def test_a_long_body_is_not_kept() -> None:
    written, pen = Written(), Pen(length=LONGEST + 1)
    for _ in range(2):
        written.body("page", [ROW], pen)
    assert (pen.count, written.size) == (2, 0)
