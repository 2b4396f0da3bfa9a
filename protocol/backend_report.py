"""ErrorResponse and NoticeResponse: reports made of lettered fields.

Every field is optional, whatever the documentation promises: servers, and poolers in front
of them, do leave the SQLSTATE out, and a reader that relies on it can be crashed. Fields
that are not known here keep their place. Source: PostgreSQL documentation, "Error and
Notice Message Fields"; libpq/pqcomm.c sends them in the order of `_ORDER`.

Invariant: decoding and encoding gives back the very bytes; `replace` changes the named
fields only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from protocol import build
from protocol.cursor import Cursor
from protocol.tags import BackendTag

Fields = tuple[tuple[int, bytes], ...]

_ORDER: Final = "SVCMDHPpqWstcdnFLR"


def _encode(tag: int, fields: Fields) -> bytes:
    parts = [bytes([letter]) + build.cstring(text) for letter, text in fields]
    return build.message(tag, b"".join(parts) + b"\0")


def _decode(body: bytes) -> Fields:
    cursor = Cursor(body)
    fields: list[tuple[int, bytes]] = []
    while letter := cursor.byte():
        fields.append((letter, cursor.cstring()))
    cursor.expect_end()
    return tuple(fields)


def _get(fields: Fields, letter: str) -> bytes | None:
    code = ord(letter)
    return next((text for key, text in fields if key == code), None)


def _replace(fields: Fields, changes: Mapping[str, bytes | None]) -> Fields:
    by_code = {ord(letter): text for letter, text in changes.items()}
    replaced: list[tuple[int, bytes]] = []
    for code, text in fields:
        new = by_code.pop(code, text)
        if new is not None:
            replaced.append((code, new))
    added = [(code, text) for code, text in by_code.items() if text is not None]
    return (*replaced, *added)


def _compose(severity: str, sqlstate: str, message: str, more: Mapping[str, str | None]) -> Fields:
    named = {"S": severity, "V": severity, "C": sqlstate, "M": message, **more}
    letters = sorted(named, key=lambda letter: (_ORDER + letter).index(letter))
    # A NUL would end the field early; a report about bad bytes must itself be sendable.
    return tuple(
        [
            (ord(letter), text.replace("\0", "").encode("utf-8", "surrogateescape"))
            for letter in letters
            if (text := named[letter]) is not None
        ]
    )


@attrs.frozen
class ErrorResponse:
    """An error as the server reports it: fields in their order, each with its letter."""

    fields: Fields

    def encode(self) -> bytes:
        return _encode(BackendTag.ERROR, self.fields)

    def get(self, letter: str) -> bytes | None:
        """The first field with this letter, None when there is none."""
        return _get(self.fields, letter)

    def replace(self, changes: Mapping[str, bytes | None]) -> ErrorResponse:
        """The same report with some fields changed, added at the end, or (None) left out."""
        return ErrorResponse(_replace(self.fields, changes))

    @property
    def sqlstate(self) -> str:
        """The SQLSTATE, empty when the server left it out."""
        return (self.get("C") or b"").decode("utf-8", "replace")

    @property
    def message(self) -> str:
        """The primary message, empty when the server left it out."""
        return (self.get("M") or b"").decode("utf-8", "replace")

    @property
    def severity(self) -> str:
        """The severity that no locale has translated, if there is one."""
        return (self.get("V") or self.get("S") or b"").decode("utf-8", "replace")


@attrs.frozen
class NoticeResponse:
    """A notice as the server reports it; the same fields as an error."""

    fields: Fields

    def encode(self) -> bytes:
        return _encode(BackendTag.NOTICE, self.fields)

    def get(self, letter: str) -> bytes | None:
        """The first field with this letter, None when there is none."""
        return _get(self.fields, letter)

    def replace(self, changes: Mapping[str, bytes | None]) -> NoticeResponse:
        """The same report with some fields changed, added at the end, or (None) left out."""
        return NoticeResponse(_replace(self.fields, changes))


def error_response(
    severity: str,
    sqlstate: str,
    message: str,
    *,
    detail: str | None = None,
    hint: str | None = None,
    position: int | None = None,
    **more: str | None,
) -> bytes:
    """An ErrorResponse; further fields by their letter, `W="..."` for instance.

    `position` counts characters from 1. Texts are sent as UTF-8 without NULs.
    """
    where = None if position is None else str(position)
    fields = {"D": detail, "H": hint, "P": where} | more
    return ErrorResponse(_compose(severity, sqlstate, message, fields)).encode()


def notice_response(
    severity: str,
    sqlstate: str,
    message: str,
    *,
    detail: str | None = None,
    hint: str | None = None,
    **more: str | None,
) -> bytes:
    """A NoticeResponse, made as `error_response` makes errors."""
    fields = {"D": detail, "H": hint} | more
    return NoticeResponse(_compose(severity, sqlstate, message, fields)).encode()


def decode_error_response(body: bytes) -> ErrorResponse:
    """Raises ProtocolViolation when the body is not a list of fields; any field may lack."""
    return ErrorResponse(_decode(body))


def decode_notice_response(body: bytes) -> NoticeResponse:
    """Raises ProtocolViolation when the body is not a list of fields; any field may lack."""
    return NoticeResponse(_decode(body))
