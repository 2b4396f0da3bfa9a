"""The three ways in which a conversation fails.

Everything in `protocol` raises one of these or nothing. Who is to blame follows from whose
bytes were being read; the SQLSTATE is what PostgreSQL itself would report.

Invariant: the texts never hold a password, a key or a proof.
"""

from __future__ import annotations


class ProtocolViolation(Exception):
    """The bytes received do not follow the protocol."""

    def __init__(self, message: str, sqlstate: str = "08P01", hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate
        self.hint = hint


class LengthViolation(ProtocolViolation):
    """No message has this length: nothing that follows can be understood.

    A PostgreSQL server closes then without a word. `tag` is the message's type, -1 for a startup
    packet.
    """

    def __init__(self, message: str, tag: int) -> None:
        super().__init__(message)
        self.tag = tag


class AuthenticationRefused(Exception):
    """The peer did not prove who it is, or asked for a proof that must not be given."""

    def __init__(self, message: str, sqlstate: str = "28P01", hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate
        self.hint = hint


class ServerRefused(Exception):
    """A server answered our login with an ErrorResponse.

    `fields` are the fields of that ErrorResponse as received. `sqlstate` and `message` are
    empty when the server left them out, which it may.
    """

    def __init__(self, fields: tuple[tuple[int, bytes], ...]) -> None:
        by_letter = dict(fields)
        self.fields = fields
        self.sqlstate = by_letter.get(ord("C"), b"").decode("utf-8", "replace")
        self.message = by_letter.get(ord("M"), b"").decode("utf-8", "replace")
        super().__init__(f"{self.message} (SQLSTATE {self.sqlstate or 'not given'})")
