"""Backend messages that carry descriptions and results.

For each an encoder, a frozen class and a decoder. On the way from server to client rows are
skipped by length and never come here; these are for what is read or made on purpose.

Invariant: `decode_x(body).encode()` gives back the very bytes, for every body that decodes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import attrs

from protocol import build
from protocol.cursor import Cursor
from protocol.tags import BackendTag

# Table OID, attribute number, type OID, type size, type modifier, format code.
_COLUMN: Final = struct.Struct("!IhIhih")
_COLUMN_BYTES_MIN: Final = 1 + _COLUMN.size


@attrs.frozen
class Column:
    """One column of a RowDescription; `type_size` is negative for types of variable size."""

    name: bytes
    table: int = 0
    attribute: int = 0
    type: int = 25
    type_size: int = -1
    type_modifier: int = -1
    format: int = 0

    def encode(self) -> bytes:
        numbers = (self.table, self.attribute, self.type)
        return build.cstring(self.name) + _COLUMN.pack(
            *numbers, self.type_size, self.type_modifier, self.format
        )


def row_description(columns: Sequence[Column]) -> bytes:
    """The columns of the rows that follow."""
    body = build.count16(len(columns)) + b"".join([column.encode() for column in columns])
    return build.message(BackendTag.ROW_DESCRIPTION, body)


def data_row(values: Sequence[bytes | None]) -> bytes:
    """One row; None is NULL."""
    return build.message(BackendTag.DATA_ROW, build.values(values))


def parameter_description(types: Sequence[int]) -> bytes:
    """The type OIDs of a statement's parameters."""
    return build.message(BackendTag.PARAMETER_DESCRIPTION, build.oids(types))


def command_complete(tag: bytes) -> bytes:
    """A command has run; `tag` is what psql prints, `INSERT 0 1` for instance."""
    return build.message(BackendTag.COMMAND_COMPLETE, build.cstring(tag))


def function_call_response(value: bytes | None) -> bytes:
    """The result of a FunctionCall."""
    return build.message(BackendTag.FUNCTION_RESULT, build.value(value))


@attrs.frozen
class RowDescription:
    """RowDescription, decoded."""

    columns: tuple[Column, ...]

    def encode(self) -> bytes:
        return row_description(self.columns)


@attrs.frozen
class DataRow:
    """DataRow, decoded."""

    values: tuple[bytes | None, ...]

    def encode(self) -> bytes:
        return data_row(self.values)


@attrs.frozen
class ParameterDescription:
    """ParameterDescription, decoded."""

    types: tuple[int, ...]

    def encode(self) -> bytes:
        return parameter_description(self.types)


@attrs.frozen
class CommandComplete:
    """CommandComplete, decoded."""

    tag: bytes

    def encode(self) -> bytes:
        return command_complete(self.tag)


@attrs.frozen
class FunctionCallResponse:
    """FunctionCallResponse, decoded."""

    value: bytes | None

    def encode(self) -> bytes:
        return function_call_response(self.value)


def _decode_column(cursor: Cursor) -> Column:
    name = cursor.cstring()
    table, attribute, type_, size = (
        cursor.uint32(),
        cursor.int16(),
        cursor.uint32(),
        cursor.int16(),
    )
    return Column(name, table, attribute, type_, size, cursor.int32(), cursor.int16())


def decode_row_description(body: bytes) -> RowDescription:
    """Raises ProtocolViolation, as all decoders here do, when the body is malformed."""
    cursor = Cursor(body)
    count = cursor.count16(_COLUMN_BYTES_MIN)
    message = RowDescription(tuple([_decode_column(cursor) for _ in range(count)]))
    cursor.expect_end()
    return message


def decode_data_row(body: bytes) -> DataRow:
    cursor = Cursor(body)
    message = DataRow(tuple([cursor.value() for _ in range(cursor.count16(4))]))
    cursor.expect_end()
    return message


def decode_parameter_description(body: bytes) -> ParameterDescription:
    cursor = Cursor(body)
    message = ParameterDescription(tuple([cursor.uint32() for _ in range(cursor.count16(4))]))
    cursor.expect_end()
    return message


def decode_command_complete(body: bytes) -> CommandComplete:
    cursor = Cursor(body)
    message = CommandComplete(cursor.cstring())
    cursor.expect_end()
    return message


def decode_function_call_response(body: bytes) -> FunctionCallResponse:
    cursor = Cursor(body)
    message = FunctionCallResponse(cursor.value())
    cursor.expect_end()
    return message
