"""What an application turned out to depend on in its sessions: the report of the adversarial mode.

A Dependence is state that a client left at the end of a transaction, or asked for in a later one,
and that a pooler of the plain kind would have lost or shown to somebody else. Words and counts
only; what finds them is trio_pool.adversary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from trio_pool.pins import HOLD, LISTEN, LOAD, LOCK, SEQUENCE, TEMPORARY

SETTING: Final = "setting"
PREPARED: Final = "prepared statement"

# What to do instead, by kind.
INSTEAD: Final = {
    SETTING: "SET LOCAL in each transaction, a parameter of the connection string, or ALTER ROLE",
    TEMPORARY: "make and use it in one transaction, with ON COMMIT DROP",
    LOCK: "pg_advisory_xact_lock, or a connection to the server for whoever holds such locks",
    LISTEN: "a connection to the server for whoever listens",
    HOLD: "read the cursor in the transaction that declares it, or page by key",
    SEQUENCE: "INSERT ... RETURNING, or read it in the transaction of the INSERT",
    LOAD: "session_preload_libraries, or ALTER ROLE ... SET",
    PREPARED: "prepare by the driver instead of SQL, or a pooler that keeps track of them",
}

# How the texts that set them call settings that have another name.
_SPOKEN: Final = {
    b"timezone": b"time zone",
    b"client_encoding": b"names",
    b"session_authorization": b"session authorization",
    b"default_transaction_isolation": b"characteristics",
    b"default_transaction_read_only": b"characteristics",
    b"default_transaction_deferrable": b"characteristics",
}


@attrs.frozen(kw_only=True)
class Dependence:
    """One kind of state that one statement left or wanted; `name` is that of a setting or of a
    prepared statement, else empty.
    """

    kind: str
    name: str
    statement: str
    user: str
    database: str

    @property
    def instead(self) -> str:
        """What would survive any transaction pooler."""
        return INSTEAD[self.kind]


class Dependences:
    """All that were found, and how often."""

    # Limit: beyond, only those that are known already are counted.
    KNOWN_MAX: Final = 1_000

    def __init__(self) -> None:
        self.counts: dict[Dependence, int] = {}

    def note(self, found: Dependence) -> bool:
        """Count it; whether it is new."""
        new = found not in self.counts
        if not new or len(self.counts) < self.KNOWN_MAX:
            self.counts[found] = self.counts.get(found, 0) + 1
        return new


def text_that_set(texts: Iterable[bytes], name: bytes) -> bytes:
    """The last of the texts that names `name`, else the last that sets something, else the last."""
    lowered = name.lower()
    spoken = _SPOKEN.get(lowered, lowered)
    guess = b""
    for text in texts:
        words = text.lower()
        if lowered in words or spoken in words:
            guess = text
    said = [*texts]
    sets = [text for text in said if b"set" in text.lower()]
    return guess or next(reversed(sets or said), b"")


def report(found: Mapping[Dependence, int]) -> str:
    """The dependences for a person: kind by kind, what to do about it, and the statements."""
    lines: list[str] = []
    for kind, instead in INSTEAD.items():
        rows = {one: count for one, count in found.items() if one.kind == kind}
        if rows:
            lines.append(f"{kind}   (instead: {instead})")
            lines += [line(one, count) for one, count in rows.items()]
    return "\n".join(lines)


def line(one: Dependence, count: int) -> str:
    """One of them in one line."""
    name = f"{one.name}: " if one.name else ""
    times = "" if count == 1 else f"   ({count} times)"
    return f"    {name}{one.statement or '(in code that was not looked into)'}{times}"
