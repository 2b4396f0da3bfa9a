"""Short spellings of the frontend messages, so that a script reads as the conversation it is.

Names, texts and parameters may be str (sent as UTF-8) or bytes (sent as they are).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from protocol import frontend

Text = str | bytes

INT4: Final = 23
TEXT: Final = 25
SYNC: Final = frontend.sync()
FLUSH: Final = frontend.flush()
COPY_DONE: Final = frontend.copy_done()


def parse(name: Text, text: Text, *types: int) -> bytes:
    return frontend.parse(_bytes(name), _bytes(text), types)


def bind(statement: Text, *parameters: Text | None, portal: Text = b"") -> bytes:
    values = [None if value is None else _bytes(value) for value in parameters]
    return frontend.bind(_bytes(portal), _bytes(statement), (), values, ())


def bind_binary(statement: Text, formats: Sequence[int], *values: bytes) -> bytes:
    """A Bind with these parameter formats that wants binary results."""
    return frontend.bind(b"", _bytes(statement), formats, values, (1,))


def execute(rows: int = 0, portal: Text = b"") -> bytes:
    return frontend.execute(_bytes(portal), rows)


def describe(statement: Text) -> bytes:
    return frontend.describe_statement(_bytes(statement))


def describe_portal(portal: Text = b"") -> bytes:
    return frontend.describe_portal(_bytes(portal))


def close(statement: Text) -> bytes:
    return frontend.close_statement(_bytes(statement))


def close_portal(portal: Text = b"") -> bytes:
    return frontend.close_portal(_bytes(portal))


def query(text: Text) -> bytes:
    return frontend.query(_bytes(text))


def data(text: Text) -> bytes:
    return frontend.copy_data(_bytes(text))


def copy_fail(text: Text) -> bytes:
    return frontend.copy_fail(_bytes(text))


def run(statement: Text, *parameters: Text | None) -> bytes:
    """Bind and Execute through the unnamed portal, without Sync."""
    return bind(statement, *parameters) + execute()


def once(text: Text, *parameters: Text | None) -> bytes:
    """Parse, Bind and Execute without names, without Sync."""
    return parse(b"", text) + run(b"", *parameters)


def _bytes(text: Text) -> bytes:
    return text.encode() if isinstance(text, str) else text
