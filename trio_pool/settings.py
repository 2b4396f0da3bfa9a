"""The settings a client must find on its next backend.

Startup parameters are settings; so is whatever the server reports by ParameterStatus while the
client holds a backend. The difference between what a backend has and what a client needs is
one SELECT of set_config calls that travels in front of the client's own bytes.

An environment is the client's settings as one interned tuple: equal environments are the same
object, so that the common case (nothing differs) is an identity test.

A custom setting, once made, stays in its session with an empty value at the least
(trio_pool.customs). A client has those it made itself; a backend has those of all it has served.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from trio_pool.customs import NO_NAMES, Names
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

# What a client has in the place of its environment while its pool's ear listens for it: no
# backend has the same, so that whoever lends it one looks closer (trio_pool.relay.lending). Why:
# clients that do not listen then pay nothing for those that do.
_ABSENT: Final[Environment] = ((b"", b"absent"),)


def canonical(name: bytes) -> bytes:
    """The spelling the server reports a setting under; setting names ignore case."""
    return _CANONICAL.get(name.lower(), name.lower())


def quote_literal(value: bytes) -> bytes:
    """A string constant that reads the same whatever standard_conforming_strings says."""
    quoted = value.replace(b"'", b"''")
    if b"\\" in quoted:
        return b"E'" + quoted.replace(b"\\", b"\\\\") + b"'"
    return b"'" + quoted + b"'"


class Environments:
    """What the clients of a pool set: equal environments are one object.

    `count_max` and `bytes_max` bound what one client may set; 0 is no bound. `defined` are settings
    with a dot in their name that some library has defined: resetting them leaves nothing behind.
    """

    __slots__ = ("_known", "empty", "defined", "count_max", "bytes_max")

    LIMIT: Final = 10_000

    def __init__(self, count_max: int = 0, bytes_max: int = 0) -> None:
        self.count_max = count_max
        self.bytes_max = bytes_max
        self.defined: set[bytes] = set()
        self.empty: Environment = ()
        self._known: dict[Environment, Environment] = {(): self.empty}

    def of(self, values: dict[bytes, bytes]) -> Environment:
        """The one tuple for these values."""
        environment = tuple(sorted(values.items()))
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

        Raises TooManySettings.
        """
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
        self.values = {name: value for name, value in session.items() if value or b"." not in name}
        self.environment = None

    def reset(self) -> None:
        """The server reset every setting (DISCARD ALL)."""
        self.values = {}
        self.environment = None


def difference(client: ClientSettings, backend: BackendSettings) -> bytes | None:
    """SQL that gives `backend` the client's settings, or None when nothing differs.

    Settings that only other clients had go back to the login value first: a role of theirs
    must not decide what may be set.
    """
    if backend.environment is client.environment:
        return None
    commands = [
        b'RESET "' + name.replace(b'"', b'""') + b'"'
        for name in sorted(backend.values, key=_rank)
        if name not in client.values
    ]
    calls = [
        set_config(name, quote_literal(client.values[name])) for name in differing(client, backend)
    ]
    if calls:
        commands.append(b"SELECT " + b", ".join(calls))
    backend.environment = client.environment
    return b"; ".join(commands) if commands else None


def differing(client: ClientSettings, backend: BackendSettings) -> list[bytes]:
    """What `difference` sets, in the order of its answer: the values as the server spells them."""
    return [
        name
        for name in sorted(client.values, key=_rank)
        if backend.value_of(name) != client.values[name]
    ]


def _rank(name: bytes) -> int:
    """Who we are comes first, as whom we act comes last: rights depend on both."""
    return {b"session_authorization": 0, b"role": 2}.get(name, 1)


def set_config(name: bytes, literal: bytes, local: bytes = b"false") -> bytes:
    """A call that sets `name` to what `literal` says."""
    return b"pg_catalog.set_config(" + quote_literal(name) + b", " + literal + b", %b)" % local


# Settings that decide what a text means at the moment it is parsed, once and for all: constants
# and their quoting (parser/scan.l, and the input functions of dates and times).
_READING: Final = (b"DateStyle", b"TimeZone", b"IntervalStyle", b"standard_conforming_strings")


def reading_differs(
    environment: Environment, client: ClientSettings, backend: BackendSettings, local: bool
) -> tuple[bytes, bytes] | None:
    """SQL to read a text as under `environment`, and SQL to go back; None when nothing differs."""
    if environment is client.parse_environment:
        return None
    then = dict(environment)
    there: list[bytes] = []
    back: list[bytes] = []
    scope = b"true" if local else b"false"
    for name in _READING:
        default = backend.initial.get(name)
        was, now = then.get(name, default), client.values.get(name, default)
        if was is not None and now is not None and was != now:
            there.append(set_config(name, quote_literal(was), scope))
            back.append(set_config(name, quote_literal(now), scope))
    if not there:
        return None
    return b"SELECT " + b", ".join(there), b"SELECT " + b", ".join(back)


def set_all(values: dict[bytes, bytes]) -> bytes:
    """SQL that sets all of these, which must not be empty."""
    calls = [set_config(name, quote_literal(values[name])) for name in sorted(values, key=_rank)]
    return b"SELECT " + b", ".join(calls)


def settled(client: ClientSettings, backend: BackendSettings) -> None:
    """The server has reset everything and then set what the client came with."""
    client.read({})
    applied(client, backend)


def applied(client: ClientSettings, backend: BackendSettings) -> None:
    """The server has carried out `difference`: the backend now has the client's settings."""
    backend.make(client.customs)
    backend.values = {
        name: value
        for name, value in client.values.items()
        if backend.initial.get(name) != value and (value or name not in backend.customs)
    }
    backend.environment = client.environment


# Every setting of the session, whatever made it one, and whether it is a custom one. Why
# current_setting: pg_settings shows values in base units and hides these two, which decide about
# rights. Those of the transaction alone are taken for the session's when they were set once.
QUESTION: Final = (
    b"SELECT name, pg_catalog.current_setting(name), false FROM %b"
    b" WHERE source OPERATOR(pg_catalog.=) 'session'"
    b" AND name OPERATOR(pg_catalog.<>) ALL (ARRAY['transaction_isolation',"
    b" 'transaction_read_only', 'transaction_deferrable'])"
    b" UNION ALL SELECT 'session_authorization', session_user::pg_catalog.text, false"
    b" UNION ALL SELECT 'role', pg_catalog.current_setting('role'), false"
)
# Those that no library has defined; pg_settings does not list them.
_CUSTOM_QUESTION: Final = (
    b"WITH known AS (SELECT name, source FROM pg_catalog.pg_settings) %b"
    b" UNION ALL SELECT name, pg_catalog.current_setting(name, true), true"
    b" FROM pg_catalog.unnest(%b::pg_catalog.text[]) AS custom (name)"
    b" WHERE pg_catalog.current_setting(name, true) IS NOT NULL"
    b" AND NOT EXISTS (SELECT FROM known"
    b" WHERE pg_catalog.lower(known.name) OPERATOR(pg_catalog.=) custom.name)"
)


def question(customs: Collection[bytes]) -> bytes:
    """SQL that asks for every setting of the session, the custom ones by name."""
    if not customs:
        return QUESTION % b"pg_catalog.pg_settings"
    names = b",".join([b'"' + name + b'"' for name in sorted(customs)])
    return _CUSTOM_QUESTION % (QUESTION % b"known", quote_literal(b"{" + names + b"}"))


def decode_answer(row: bytes) -> tuple[bytes, bytes, bool]:
    """Name, value and whether it is custom in one DataRow body of the answer to `question`."""
    name_stop = 6 + int.from_bytes(row[2:6], "big")
    value_stop = name_stop + 4 + int.from_bytes(row[name_stop : name_stop + 4], "big")
    name, value = row[6:name_stop], row[name_stop + 4 : value_stop]
    return canonical(name), value, row[value_stop + 4 :] == b"t"
