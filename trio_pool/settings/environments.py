"""Environments: what a client has set, as one interned tuple, equal ones being the same object.

So the common case, that nothing differs between a client and a backend, is an identity test.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from trio_pool.customs import Names
from trio_pool.errors import TooManySettings

# Reported by the server, and a session can change them. Others that are reported
# (server_version, is_superuser, ...) follow from something else.
REPORTED: Final = frozenset(
    {
        b"client_encoding",
        b"DateStyle",
        b"TimeZone",
        b"IntervalStyle",
        b"standard_conforming_strings",
        b"application_name",
        b"default_transaction_read_only",
        b"search_path",
        b"scram_iterations",
    }
)
_CANONICAL: Final = {name.lower(): name for name in REPORTED}

Environment = tuple[tuple[bytes, bytes], ...]


def canonical(name: bytes) -> bytes:
    """The spelling the server reports a setting under; setting names ignore case."""
    return _CANONICAL.get(name.lower(), name.lower())


class Environments:
    """What the clients of a pool set: equal environments are one object.

    `count_max` and `bytes_max` bound what one client may set; 0 is no bound. `defined` are settings
    with a dot in their name that some library has defined: resetting them leaves nothing behind.
    `usual` is what the first backend reported at its login: what clients are told unless they are
    told something else. Why not the latest: it changes when a server reads its configuration again,
    and what a client was told does not.
    """

    __slots__ = ("_known", "empty", "defined", "usual", "count_max", "bytes_max")

    LIMIT: Final = 10_000

    def __init__(self, count_max: int = 0, bytes_max: int = 0) -> None:
        self.count_max = count_max
        self.bytes_max = bytes_max
        self.defined: set[bytes] = set()
        self.usual: dict[bytes, bytes] = {}
        self.empty: Environment = ()
        self._known: dict[Environment, Environment] = {(): self.empty}

    def begin(self, parameters: dict[bytes, bytes]) -> None:
        """A backend has reported these at its login."""
        if not self.usual:
            self.usual = {name: parameters[name] for name in REPORTED if name in parameters}

    def of(self, values: dict[bytes, bytes]) -> Environment:
        """The one tuple for these values, of which the usual ones are nothing to speak of."""
        usual = self.usual
        environment = tuple(sorted([i for i in values.items() if usual.get(i[0]) != i[1]]))
        if len(self._known) >= self.LIMIT:
            self._known = {(): self.empty}
        return self._known.setdefault(environment, environment)

    def admit(self, values: dict[bytes, bytes]) -> None:
        """Raises TooManySettings when these are more than one client may set."""
        if self.count_max and len(values) > self.count_max:
            raise TooManySettings("max_client_settings", self.count_max)
        if self.bytes_max:
            held = sum([len(name) + len(value) for name, value in values.items()])
            if held > self.bytes_max:
                raise TooManySettings("max_client_settings_bytes", self.bytes_max)

    def customs_of(self, values: Collection[bytes]) -> Names:
        """The custom settings among these names."""
        return frozenset([name for name in values if b"." in name and name not in self.defined])
