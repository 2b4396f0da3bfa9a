"""What a client says about itself in its startup packet.

The pairs are kept in their order and as bytes: no encoding has been agreed yet, and the
server applies later pairs over earlier ones. Source: libpq/pqcomm.h and ProcessStartupPacket
in tcop/backend_startup.c; process_startup_options in utils/init/postinit.c.

Invariant: asking a message for anything never changes it, and `encode` gives back the packet.
"""

from __future__ import annotations

import enum
from typing import Final

import attrs

from protocol import build
from protocol.errors import ProtocolViolation
from protocol.options import parse_options

_PROTOCOL_OPTION: Final = b"_pq_."
# These pairs say who, where and how; every other pair is a setting.
_NOT_SETTINGS: Final = frozenset({b"user", b"database", b"options", b"replication"})
_TRUE: Final = (b"true", b"yes")
_FALSE: Final = (b"false", b"no")


class Replication(enum.Enum):
    """Whether a client wants to be a replication client, and of which kind."""

    NONE = "none"
    PHYSICAL = "physical"
    LOGICAL = "logical"


def _parse_bool(text: bytes) -> bool | None:
    # The server takes every unambiguous beginning of these words (utils/adt/bool.c).
    word = text.lower()
    if word in (b"1", b"on") or (word and any(full.startswith(word) for full in _TRUE)):
        return True
    if word in (b"0", b"of", b"off") or (word and any(full.startswith(word) for full in _FALSE)):
        return False
    return None


@attrs.frozen
class StartupMessage:
    """A startup packet of major version 3, decoded; `pairs` in the order they came."""

    minor: int
    pairs: tuple[tuple[bytes, bytes], ...]
    parameters: dict[bytes, bytes] = attrs.field(init=False, eq=False, repr=False)
    """The pairs by name, in order of first mention; the last value of a name counts."""

    @parameters.default
    def _by_name(self) -> dict[bytes, bytes]:
        return dict(self.pairs)

    def encode(self) -> bytes:
        """The packet with its length."""
        parts = [build.cstring(name) + build.cstring(value) for name, value in self.pairs]
        body = build.uint32(3 << 16 | self.minor) + b"".join(parts) + b"\0"
        return build.uint32(len(body) + 4) + body

    @property
    def user(self) -> bytes:
        """The user, empty when the client named none."""
        return self.parameters.get(b"user", b"")

    @property
    def database(self) -> bytes:
        """The database; who names none means the one that is called like the user."""
        return self.parameters.get(b"database", b"") or self.user

    @property
    def protocol_options(self) -> tuple[bytes, ...]:
        """The names that ask for extensions of the protocol, not for settings."""
        return tuple([name for name, _ in self.pairs if name.startswith(_PROTOCOL_OPTION)])

    @property
    def replication(self) -> Replication:
        """The kind of replication asked for; raises ProtocolViolation (22023) as the server."""
        value = self.parameters.get(b"replication")
        if value is None:
            return Replication.NONE
        if value == b"database":
            return Replication.LOGICAL
        wanted = _parse_bool(value)
        if wanted is None:
            shown = value.decode("utf-8", "replace")
            raise ProtocolViolation(
                f'invalid value for parameter "replication": "{shown}"',
                sqlstate="22023",
                hint='Valid values are: "false", 0, "true", 1, "database".',
            )
        return Replication.PHYSICAL if wanted else Replication.NONE

    def settings(self) -> list[tuple[bytes, bytes]]:
        """All settings the client asks for, in the order the server applies them.

        Those in `options` come first, the pairs after them. Raises ProtocolViolation (42601)
        when `options` is malformed.
        """
        named = [
            (name, value)
            for name, value in self.pairs
            if name not in _NOT_SETTINGS and not name.startswith(_PROTOCOL_OPTION)
        ]
        options = self.parameters.get(b"options")
        return parse_options(options) + named if options else named
