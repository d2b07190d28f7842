"""Only what every reader of JSON takes for the same thing is read."""

import pytest

from api.strict_json import NotJSON, parse


def test_plain_json_is_read() -> None:
    assert parse('{"a": [1, -2, 2.5, "한", null, true, {"b": {}}]}'.encode()) == {
        "a": [1, -2, 2.5, "한", None, True, {"b": {}}]
    }


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "Expecting value at line 1"),
        (b'{"a": 1,}', "line 1, column 9"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b'{"a": -Infinity}', "-Infinity is no JSON"),
        (b'{"a": 1e400}', "1e400 is out of range"),
        (b'{"a": 1, "a": 2}', "the key 'a' comes twice"),
        (b'{"a": {"b": 1, "b": 1}}', "the key 'b' comes twice"),
        (b"[" * 100_000, "nested 32 deep"),
        (b"[" * 100_000 + b"]" * 100_000, "nested 32 deep"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "nested 32 deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "out of range"),
        (b'{"a": 0.' + b"9" * 5000 + b"}", "out of range"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"\\udfff": 1}', "half of a surrogate pair"),
        (b'{"a": "\\u0000"}', "U+0000"),
        (b'{"a": "\xff"}', "UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "UTF-8"),
        ('\ufeff{"a": 1}'.encode(), "BOM"),
        (b"{} {}", "Extra data"),
    ],
)
def test_what_is_no_json_is_refused_with_the_reason(body: bytes, why: str) -> None:
    with pytest.raises(NotJSON) as refused:
        parse(body)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)
