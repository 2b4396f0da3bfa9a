"""What came of a command, and the bytes that say so.

A driver may ask for any column in binary (asyncpg always does), so both forms are made here.
The console has numbers and texts only: numeric is always a whole number.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import attrs

from protocol.backend_rows import Column, data_row, row_description
from trio_pool.console.tables import INT4, INT8, NUMERIC, Layout

Value = str | int | bytes | None

_BINARY: Final = 1
_INT4: Final = struct.Struct("!i")
_INT8: Final = struct.Struct("!q")
_INT4_MAX: Final = 2**31 - 1
_NUMERIC_BASE: Final = 10_000
_NUMERIC_NEGATIVE: Final = 0x4000


@attrs.frozen
class Rows:
    """A table."""

    layout: Layout
    rows: Sequence[tuple[Value, ...]]
    tag: str = "SHOW"


@attrs.frozen
class Done:
    """Carried out; `notice` (and `detail`) are told beside the command's tag."""

    tag: str
    notice: str = ""
    detail: str = ""


@attrs.frozen
class Failure:
    """Refused, and nothing was changed."""

    message: str
    sqlstate: str
    hint: str | None = None


Answer = Rows | Done | Failure


def format_of(formats: Sequence[int], index: int) -> int:
    """The format of a column: none given is text, one holds for all (protocol, Bind)."""
    if not formats:
        return 0
    return formats[0] if len(formats) == 1 else formats[index]


def description(layout: Layout, formats: Sequence[int] = ()) -> bytes:
    """RowDescription of a table in these formats."""
    columns = [
        attrs.evolve(column, format=format_of(formats, index))
        for index, column in enumerate(layout)
    ]
    return row_description(columns)


def row(layout: Layout, values: tuple[Value, ...], formats: Sequence[int] = ()) -> bytes:
    """DataRow of one row in these formats."""
    return data_row(
        [
            _encoded(column, value, format_of(formats, index))
            for index, (column, value) in enumerate(zip(layout, values, strict=True))
        ]
    )


def _encoded(column: Column, value: Value, code: int) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").replace(b"\0", b"")
    if isinstance(value, bytes):
        return value if code == _BINARY else b"\\x" + value.hex().encode()
    if column.type == INT4:
        # Why: a counter of 4 bytes in PgBouncer's layout must not fail when ours is larger.
        value = max(-_INT4_MAX, min(value, _INT4_MAX))
    if code == _BINARY and column.type in (INT4, INT8, NUMERIC):
        return _binary(column.type, value)
    return str(value).encode()


def _binary(number: int, value: int) -> bytes:
    if number == INT4:
        return _INT4.pack(value)
    if number == INT8:
        return _INT8.pack(value)
    return _numeric(value)


def _numeric(value: int) -> bytes:
    """numeric_send of utils/adt/numeric.c: digits of base 10,000, weight of the first."""
    digits: list[int] = []
    rest = abs(value)
    while rest:
        rest, digit = divmod(rest, _NUMERIC_BASE)
        digits.insert(0, digit)
    weight = max(len(digits) - 1, 0)
    sign = _NUMERIC_NEGATIVE if value < 0 else 0
    return struct.pack(f"!hhHh{len(digits)}h", len(digits), weight, sign, 0, *digits)
