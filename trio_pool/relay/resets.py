"""RESET, SET ... TO DEFAULT and DISCARD ALL, for clients that came with settings of their own.

On a private server they go back to the client's startup packet; on a backend they would go back
to ours. So each is written as a SET of what the client came with, which cannot be told from
RESET but by its command tag, which is edited. Why SET: it takes no snapshot, behind which the
transaction's isolation level could not be set any more; a function or a DO block does.
DISCARD ALL must stand alone; what it reset is set again behind it, in the same segment, so
that the server reports only what differs in the end (PostgreSQL 14 and later).
"""

from __future__ import annotations

import re
from typing import Final

from protocol import frontend
from protocol.ledger import DROP, RELAY, Effect, Owed
from protocol.pipeline import HIDDEN, PLAIN
from protocol.sql.command import Command, CommandKind
from protocol.sql.identifiers import quote_identifier
from protocol.sql.reserved import may_name
from protocol.tags import FrontendTag
from trio_pool.relay.effects import Awaited, Indispensable
from trio_pool.relay.holding import wait_for_all
from trio_pool.relay.state import BackendState, Relay
from trio_pool.settings import (
    ClientSettings,
    canonical,
    quote_literal,
    set_all,
    set_config,
    settled,
)
from trio_pool.statements import Statement

# RESET ALL leaves them alone (utils/misc/guc.c, GUC_NO_RESET_ALL).
_IDENTITY: Final = (b"role", b"session_authorization")


# What SET takes as names, and writes them with the quotes they need (utils/misc/guc.c,
# GUC_LIST_QUOTE): of those that a session can set.
_LISTS: Final = (
    b"search_path",
    b"temp_tablespaces",
    b"local_preload_libraries",
    b"session_preload_libraries",
)
_PLAIN: Final = re.compile(rb"[a-z_][a-z0-9_]*")
_ELEMENT: Final = rb'(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_]*)'
_ELEMENTS: Final = re.compile(_ELEMENT)
_LIST: Final = re.compile(rb"%b(?:, %b)*" % (_ELEMENT, _ELEMENT))


def goes_back(settings: ClientSettings, command: Command, text: bytes) -> list[bytes]:
    """What to say instead of this command, for it to go back to the client's startup packet.

    Nothing when it may stay as it is. The first stands for it; what the others say is not for
    the client.
    """
    if not settings.startup:
        return []
    if command.kind is CommandKind.RESET and command.all:
        return [b"RESET ALL"] + [
            _set(name, value, False)
            for name, value in sorted(settings.startup.items())
            if name not in _IDENTITY
        ]
    if command.setting is None or not _to_default(command, text):
        return []
    name = canonical(command.setting)
    value = settings.startup.get(name)
    if value is None or name == b"session_authorization":
        return []
    return [_set(name, value, command.local)]


def goes_back_at_once(settings: ClientSettings, statement: Statement) -> bytes | None:
    """What to say instead of an EXECUTE of this statement, likewise; None when it may stay.

    A DO block takes a snapshot, as EXECUTE does, and is one command.
    """
    command = statement.command
    if command is None:
        return None
    commands = goes_back(settings, command, statement.text)
    return _block(b"".join([command + b";" for command in commands])) if commands else None


def _set(name: bytes, value: bytes, local: bool) -> bytes:
    """A command that sets `name` to exactly this value."""
    literals = [quote_literal(value)]
    if name in _LISTS:
        literals = _elements(value)
        if not literals:
            scope = b"true" if local else b"false"
            return _block(b"PERFORM " + set_config(name, quote_literal(value), scope) + b";")
    scope = b"SET LOCAL " if local else b"SET "
    return scope + quote_identifier(name) + b" TO " + b", ".join(literals)


def _elements(value: bytes) -> list[bytes]:
    """The names in a list, to be given to SET; none if SET would not write them like this."""
    if _LIST.fullmatch(value) is None:
        return []
    literals: list[bytes] = []
    for written in _ELEMENTS.findall(value):
        name = written[1:-1].replace(b'""', b'"') if written.startswith(b'"') else written
        needs_quotes = _PLAIN.fullmatch(name) is None or not may_name(name)
        if needs_quotes is not written.startswith(b'"'):
            return []
        literals.append(quote_literal(name))
    return literals


def _to_default(command: Command, text: bytes) -> bool:
    if command.kind is CommandKind.RESET:
        return True
    if command.kind is not CommandKind.SET or command.value is not None:
        return False
    return not text[command.start : command.stop].lower().endswith(b"current")


def _block(body: bytes) -> bytes:
    return b"DO " + quote_literal(b"BEGIN " + body + b" END")


class CameBack(Indispensable):
    """Our own statement behind a DISCARD ALL: the session is as the client began it."""

    __slots__ = ("relay", "backend")

    def __init__(self, relay: Relay, backend: BackendState):
        self.relay = relay
        self.backend = backend

    def settled(self) -> None:
        settled(self.relay.settings, self.backend.settings)


def come_back(relay: Relay, backend: BackendState) -> None:
    """Behind an Execute of DISCARD ALL, in its segment: set what the client came with.

    Why names of our own: the client's unnamed statement outlives DISCARD ALL.
    """
    effect = CameBack(relay, backend)
    _say(relay, backend, set_all(relay.settings.startup), Owed(FrontendTag.EXECUTE, DROP, effect))
    # Why: some statements must not follow another one in their segment (VACUUM, or one more
    # DISCARD ALL); behind a COMMIT they may, and the client's own is committed anyway.
    _say(relay, backend, b"COMMIT", HIDDEN[FrontendTag.EXECUTE])


def go_back(relay: Relay, backend: BackendState, commands: list[bytes]) -> None:
    """Behind an Execute of RESET ALL, in its segment: set what the client came with."""
    for command in commands:
        _say(relay, backend, command, Owed(FrontendTag.EXECUTE, DROP, Indispensable()))


def _say(relay: Relay, backend: BackendState, text: bytes, execution: Owed) -> None:
    name = relay.pool.new_name()
    relay.to_server.extend(
        [
            frontend.parse(name, text),
            frontend.bind(name, name),
            frontend.execute(name),
            frontend.close_statement(name),
        ]
    )
    pipeline = backend.pipeline
    pipeline.owe(HIDDEN[FrontendTag.PARSE])
    pipeline.owe(HIDDEN[FrontendTag.BIND])
    pipeline.owe(execution)
    pipeline.owe(HIDDEN[FrontendTag.CLOSE])


class Discarded(Effect):
    """The end of a DISCARD ALL that came as a Query: there are no names any more."""

    __slots__ = ()


def said_before(relay: Relay, backend: BackendState) -> bool:
    """Whether what was said before in this segment is not answered yet: the relay is on hold."""
    pipeline = backend.pipeline
    if not pipeline.segment_open or not pipeline.owed or pipeline.copying_in:
        return False
    wait_for_all(relay, backend, Awaited())
    return True


def discard_all(relay: Relay, backend: BackendState, text: bytes) -> bool:
    """Say a Query that is a lone DISCARD ALL in the extended protocol, and come back behind it.

    False when it must go as it is, which is where it is refused. Nothing may have failed in front
    of it that silences a Query and not a Sync (`said_before`).
    """
    if backend.pipeline.copying_in:
        return False
    pipeline = backend.pipeline
    name = relay.pool.new_name()
    # A Query drops the unnamed statement; whether it succeeds or not, none may be left here.
    relay.to_server.extend(
        [
            frontend.close_statement(),
            frontend.parse(name, text),
            frontend.bind(name, name),
            frontend.execute(name),
        ]
    )
    relay.client.unnamed = None
    backend.statements.unnamed = None
    backend.doomed.append(name)
    for kind in (FrontendTag.CLOSE, FrontendTag.PARSE, FrontendTag.BIND):
        pipeline.owe(HIDDEN[kind])
    pipeline.owe(PLAIN[FrontendTag.EXECUTE])
    come_back(relay, backend)
    relay.to_server.append(frontend.sync())
    end = Owed(FrontendTag.SYNC, RELAY, Discarded())
    pipeline.owe_closing(end)
    relay.hold_for(end)
    return True
