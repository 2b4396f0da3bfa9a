"""The difference between what a backend has and what a client needs.

It is one SELECT of set_config calls that travels in front of the client's own bytes.
"""

from __future__ import annotations

from typing import Final

from trio_pool.settings.backend import BackendSettings
from trio_pool.settings.client import ClientSettings
from trio_pool.settings.commands import quote_literal, rank, set_config
from trio_pool.settings.environments import Environment


def difference(client: ClientSettings, backend: BackendSettings) -> bytes | None:
    """SQL that gives `backend` the client's settings, or None when nothing differs.

    Settings that only other clients had go back to the login value first: a role of theirs
    must not decide what may be set.
    """
    if backend.environment is client.environment:
        return None
    commands = [
        b'RESET "' + name.replace(b'"', b'""') + b'"'
        for name in sorted(backend.values, key=rank)
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
        for name in sorted(client.values, key=rank)
        if backend.value_of(name) != client.values[name]
    ]


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
        default = client.usual(name) or backend.initial.get(name)
        was, now = then.get(name, default), client.values.get(name, default)
        if was is not None and now is not None and was != now:
            there.append(set_config(name, quote_literal(was), scope))
            back.append(set_config(name, quote_literal(now), scope))
    if not there:
        return None
    return b"SELECT " + b", ".join(there), b"SELECT " + b", ".join(back)


def settled(client: ClientSettings, backend: BackendSettings) -> None:
    """The server has reset everything and then set what the client came with."""
    client.read({})
    applied(client, backend)


def applied(client: ClientSettings, backend: BackendSettings) -> None:
    """The server has carried out `difference`: the backend now has the client's settings."""
    backend.make(client.customs)
    backend.have({n: v for n, v in client.values.items() if v or n not in backend.customs})
    backend.environment = client.environment


def told_otherwise(client: ClientSettings, backend: BackendSettings) -> list[tuple[bytes, bytes]]:
    """What is in force on `backend` although the client was told another value."""
    found: list[tuple[bytes, bytes]] = []
    for name, initial in backend.initial.items():
        value, told = backend.values.get(name, initial), client.told(name)
        if told is not None and told != value:
            found.append((name, value))
    return found
