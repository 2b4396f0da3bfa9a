"""What a backend has: its login values, and what its clients have left there."""

from __future__ import annotations

from trio_pool.customs import NO_NAMES, Names
from trio_pool.settings.environments import REPORTED, Environment


class BackendSettings:
    """What a backend has: its login values, and what clients' settings did to it."""

    __slots__ = ("initial", "unset", "values", "environment", "customs")

    def __init__(self, initial: dict[bytes, bytes]) -> None:
        self.initial = {n: v for n, v in initial.items() if n in REPORTED}
        # Who the backend logged in as, which is what these two go back to.
        user = initial.get(b"session_authorization", b"")
        self.unset = {(b"session_authorization", user), (b"role", b"none")}
        # Only what differs from the login values; custom settings that are not empty.
        self.values: dict[bytes, bytes] = {}
        self.environment: Environment | None = None
        # All custom settings that were ever made here: to be seen by those only who made them too.
        self.customs: Names = NO_NAMES

    def make(self, names: Names) -> None:
        """These custom settings exist here from now on."""
        if not names <= self.customs:
            self.customs |= names

    def value_of(self, name: bytes) -> bytes | None:
        """What a client finds here; None for what is not known, or not there."""
        found = self.values.get(name)
        if found is not None:
            return found
        return b"" if name in self.customs else self.initial.get(name)

    def reported(self, name: bytes, value: bytes) -> None:
        """The server says this backend has `name` = `value`."""
        if name in REPORTED:
            self.environment = None
            if self.initial.get(name) == value:
                self.values.pop(name, None)
            else:
                self.values[name] = value

    def read(self, session: dict[bytes, bytes]) -> None:
        """The server says these are the settings that differ from its own."""
        self.have({name: value for name, value in session.items() if value or b"." not in name})
        self.environment = None

    def reset(self) -> None:
        """The server reset every setting (DISCARD ALL)."""
        self.have({})
        self.environment = None

    def have(self, values: dict[bytes, bytes]) -> None:
        """Believe this of what the server does not report; of the rest, only what it reports.

        Why: what a reset leads to is not what it was at the login any more when the server has
        read its configuration again since.
        """
        reported = {n: v for n, v in self.values.items() if n in self.initial}
        self.values = {n: v for n, v in values.items() if n not in self.initial} | reported
