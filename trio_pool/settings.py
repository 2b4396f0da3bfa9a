"""The settings a client must find on its next backend.

Startup parameters are settings; so is whatever the server reports by ParameterStatus while the
client holds a backend. The difference between what a backend has and what a client needs is
one SELECT of set_config calls that travels in front of the client's own bytes.

An environment is the client's settings as one interned tuple: equal environments are the same
object, so that the common case (nothing differs) is an identity test.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

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

    `custom_names` are the custom settings that any of them may have set.
    """

    __slots__ = ("_known", "empty", "custom_names")

    LIMIT: Final = 10_000
    CUSTOM_NAMES_MAX: Final = 200

    def __init__(self) -> None:
        self.custom_names: set[bytes] = set()
        self.empty: Environment = ()
        self._known: dict[Environment, Environment] = {(): self.empty}

    def of(self, values: dict[bytes, bytes]) -> Environment:
        """The one tuple for these values."""
        environment = tuple(sorted(values.items()))
        if len(self._known) >= self.LIMIT:
            self._known = {(): self.empty}
        return self._known.setdefault(environment, environment)

    def note_custom_names(self, text: bytes) -> None:
        """A text that sets something: remember what custom settings it may name."""
        if b"." in text and len(self.custom_names) < self.CUSTOM_NAMES_MAX:
            self.custom_names |= custom_names_in(text)


class ClientSettings:
    """What one client has set, at startup and since."""

    __slots__ = ("startup", "values", "environment", "parse_environment", "_environments")

    def __init__(
        self,
        environments: Environments,
        startup: dict[bytes, bytes],
        twin: ClientSettings | None = None,
    ) -> None:
        """`startup` is as the client gave it; with a `twin`, what that one has counts instead."""
        self._environments = environments
        # What RESET goes back to.
        self.startup: dict[bytes, bytes]
        self.values: dict[bytes, bytes]
        self.environment: Environment
        self.parse_environment: Environment
        if twin is not None:
            self.startup, self.values = twin.startup, twin.values
            self.environment = twin.environment
            self.parse_environment = twin.parse_environment
            return
        self.startup = {canonical(name): value for name, value in startup.items()}
        self.values = dict(self.startup)
        environments.custom_names.update(name for name in self.startup if b"." in name)
        self._renew()

    def _renew(self) -> None:
        self.environment = self._environments.of(self.values)
        # What may change how a text is understood; a client's label never does.
        self.parse_environment = self._environments.of(
            {name: value for name, value in self.values.items() if name != b"application_name"}
        )

    def reported(self, name: bytes, value: bytes) -> None:
        """The server says the client's session has `name` = `value` from here on."""
        if name in REPORTED and self.values.get(name) != value:
            # A new dictionary: copies share the old one.
            self.values = {**self.values, name: value}
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

    def note_custom_names(self, text: bytes) -> None:
        """See Environments.note_custom_names."""
        self._environments.note_custom_names(text)

    @property
    def question(self) -> bytes:
        """SQL that asks for all the settings this session may have."""
        return question(self._environments.custom_names)

    def read(self, session: dict[bytes, bytes]) -> None:
        """The server says these are the settings of the session; all others are reset."""
        values = self.startup | session
        if values != self.values:
            self.values = values
            self._renew()

    @property
    def standard_conforming_strings(self) -> bool:
        """How the client's string constants are to be read."""
        return self.values.get(b"standard_conforming_strings", b"on") != b"off"


class BackendSettings:
    """What a backend has: its login values, and what clients' settings did to it."""

    __slots__ = ("initial", "unset", "values", "environment")

    def __init__(self, initial: dict[bytes, bytes]) -> None:
        self.initial = {n: v for n, v in initial.items() if n in REPORTED}
        # Who the backend logged in as, which is what these two go back to.
        user = initial.get(b"session_authorization", b"")
        self.unset = {(b"session_authorization", user), (b"role", b"none")}
        # Only what differs from the login values.
        self.values: dict[bytes, bytes] = {}
        self.environment: Environment | None = None

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
        self.values = dict(session)
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
        set_config(name, quote_literal(client.values[name]))
        for name in sorted(client.values, key=_rank)
        if backend.values.get(name, backend.initial.get(name)) != client.values[name]
    ]
    if calls:
        commands.append(b"SELECT " + b", ".join(calls))
    backend.environment = client.environment
    return b"; ".join(commands) if commands else None


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
    backend.values = {
        name: value for name, value in client.values.items() if backend.initial.get(name) != value
    }
    backend.environment = client.environment


# Every setting of the session, whatever made it one. Why current_setting: pg_settings shows
# values in base units and hides these two, which decide about rights.
QUESTION: Final = (
    b"SELECT name, pg_catalog.current_setting(name) FROM pg_catalog.pg_settings"
    b" WHERE source OPERATOR(pg_catalog.=) 'session'"
    b" UNION ALL SELECT 'session_authorization', session_user::pg_catalog.text"
    b" UNION ALL SELECT 'role', pg_catalog.current_setting('role')"
)


# Names of settings that no extension has defined (`app.user_id`): pg_settings does not list them.
_CUSTOM_NAME: Final = re.compile(rb"[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)+")


def question(custom_names: Collection[bytes]) -> bytes:
    """SQL that asks for every setting of the session, the custom ones by name.

    An empty custom setting is one that was reset: PostgreSQL keeps its name.
    """
    asked = [
        b" UNION ALL SELECT %b, pg_catalog.current_setting(%b, true)"
        b" WHERE pg_catalog.current_setting(%b, true) OPERATOR(pg_catalog.<>) ''"
        % ((quote_literal(name),) * 3)
        for name in sorted(custom_names)
    ]
    return QUESTION + b"".join(asked)


def custom_names_in(text: bytes) -> set[bytes]:
    """What may be the names of custom settings in a text that sets something."""
    return {name.lower() for name in _CUSTOM_NAME.findall(text)}


def decode_answer(row: bytes) -> tuple[bytes, bytes]:
    """Name and value in one DataRow body of the answer to `QUESTION`."""
    name_stop = 6 + int.from_bytes(row[2:6], "big")
    return canonical(row[6:name_stop]), row[name_stop + 4 :]


# A call of set_config that certainly ends with its transaction: plain arguments, then true. Why so
# strict: what is not recognised is only asked for.
_ARGUMENT: Final = rb"(?:'[^'\\]*'|\$\d+|[\w.]+)(?:\s*::\s*\w+)?"
_LOCAL_CALL: Final = re.compile(
    rb"\bset_config\s*\(\s*%b\s*,\s*%b\s*,\s*true\s*\)" % (_ARGUMENT, _ARGUMENT)
)


def changes_settings(text: bytes) -> bool:
    """Whether an ordinary statement may change settings: by set_config, or through the view.

    Functions that call it in their bodies cannot be seen here.
    """
    lowered = text.lower()
    if b"pg_settings" in lowered:
        return True
    calls = lowered.count(b"set_config")
    return calls > 0 and len(_LOCAL_CALL.findall(lowered)) != calls
