"""What one client has set: what it must find on its next backend.

Startup parameters are settings; so is whatever the server reports by ParameterStatus while the
client holds a backend.
"""

from __future__ import annotations

from typing import Final

from trio_pool.customs import NO_NAMES, Names
from trio_pool.settings.commands import question
from trio_pool.settings.environments import REPORTED, Environment, Environments, canonical

# What a client has in the place of its environment while its pool's ear listens for it: no
# backend has the same, so that whoever lends it one looks closer (trio_pool.relay.lending). Why:
# clients that do not listen then pay nothing for those that do.
_ABSENT: Final[Environment] = ((b"", b"absent"),)


class ClientSettings:
    """What one client has set, at startup and since."""

    __slots__ = (
        "startup",
        "values",
        "environment",
        "parse_environment",
        "customs",
        "mentioned",
        "_environments",
    )

    def __init__(
        self,
        environments: Environments,
        startup: dict[bytes, bytes],
        twin: ClientSettings | None = None,
    ) -> None:
        """`startup` is as the client gave it; with a `twin`, what that one has counts instead.

        Raises TooManySettings.
        """
        self._environments = environments
        # What RESET goes back to.
        self.startup: dict[bytes, bytes]
        # Those with an empty value were made and reset.
        self.values: dict[bytes, bytes]
        self.environment: Environment
        self.parse_environment: Environment
        # The custom settings that this session has made.
        self.customs: Names = NO_NAMES
        # Custom settings that it may have made since the server was last asked.
        self.mentioned: Names = NO_NAMES
        if twin is not None:
            self.startup, self.values = twin.startup, twin.values
            self.environment = twin.environment
            self.parse_environment = twin.parse_environment
            self.customs = twin.customs
            return
        self.startup = {canonical(name): value for name, value in startup.items()}
        self.values = dict(self.startup)
        environments.admit(self.values)
        self._renew()

    def _renew(self) -> None:
        self.environment = self._environments.of(self.values)
        # What may change how a text is understood; a client's label never does, nor does what
        # only its own functions and policies read.
        self.parse_environment = self._environments.of(
            {
                name: value
                for name, value in self.values.items()
                if name != b"application_name" and b"." not in name
            }
        )
        self.customs = self._environments.customs_of(self.values)

    def reported(self, name: bytes, value: bytes) -> None:
        """The server says the client's session has `name` = `value` from here on."""
        if name in REPORTED and self.values.get(name) != value:
            # A new dictionary: copies share the old one.
            self.values = {**self.values, name: value}
            self._renew()

    def accepted(self, values: dict[bytes, bytes]) -> None:
        """The server has taken these startup settings, and spells them like this."""
        self.startup = self.startup | values
        self.values = self.values | values
        self._renew()

    def usual(self, name: bytes) -> bytes | None:
        """What clients of the pool are told of a setting unless they are told something else."""
        return self._environments.usual.get(name)

    def told(self, name: bytes) -> bytes | None:
        """What the client was told of a setting that the server reports; None for all others."""
        usual: bytes | None = self._environments.usual.get(name)
        return None if usual is None else self.values.get(name, usual)

    def greeted(self, parameters: dict[bytes, bytes]) -> None:
        """At its login the client is told these, but for what it has set."""
        usual, values = self._environments.usual, self.startup.copy()
        values.update({n: v for n, v in self.values.items() if n not in usual})
        for name, value in usual.items():
            if name not in values and parameters.get(name, value) != value:
                values[name] = parameters[name]
        if values != self.values:
            self.values = values
            self._renew()

    def depart(self) -> None:
        """No backend has these settings, until `come_back`."""
        self.environment = _ABSENT

    def come_back(self) -> None:
        """The end of `depart`."""
        self._renew()

    def copy(self) -> ClientSettings:
        """The same settings for one more client, which may then go its own way."""
        return ClientSettings(self._environments, self.startup, self)

    def mention(self, names: Names) -> None:
        """The client said something that may make these custom settings."""
        if names:
            self.mentioned |= names

    @property
    def too_many(self) -> bool:
        """Whether `read` will find more than one client may set."""
        return 0 < self._environments.count_max < len(self.values)

    def learn(self, name: bytes) -> None:
        """A library has defined this setting, in whose name there is a dot."""
        self._environments.defined.add(name)

    def make(self, names: Names) -> None:
        """The client makes these custom settings, which its transaction leaves empty."""
        if not names <= self.customs:
            self.values = dict.fromkeys(names, b"") | self.values
            self._renew()

    @property
    def question(self) -> bytes:
        """SQL that asks for all the settings this session may have."""
        return question(self.customs | self.mentioned)

    def read(self, session: dict[bytes, bytes]) -> None:
        """The server says these are the settings of the session; all others are reset.

        What the server reports by itself is known already. Raises TooManySettings.
        """
        usual = self._environments.usual
        self._have(session | {n: v for n, v in self.values.items() if n in usual})

    def lose(self, kept: dict[bytes, bytes]) -> None:
        """Only these are left to the client, and what it came with."""
        self._have(kept)

    def _have(self, session: dict[bytes, bytes]) -> None:
        self.mentioned = NO_NAMES
        made = dict.fromkeys(self.customs, b"")
        values = made | self.startup | session
        if values != self.values:
            self.values = values
            self._renew()
        self._environments.admit(values)

    @property
    def standard_conforming_strings(self) -> bool:
        """How the client's string constants are to be read."""
        return self.values.get(b"standard_conforming_strings", b"on") != b"off"
