"""RESET, SET ... TO DEFAULT and DISCARD ALL, for clients that came with settings of their own.

On a private server they go back to the client's startup packet; on a backend they would go back
to ours. So each is written as a DO block that sets what the client came with (one statement,
whatever it stands in: DO cannot be told from RESET but by its command tag, which is edited).
DISCARD ALL must stand alone; what it reset is set again behind it, in the same segment, so
that the server reports only what differs in the end (PostgreSQL 14 and later).
"""

from __future__ import annotations

from typing import Final

from protocol import frontend
from protocol.pipeline import DROP, HIDDEN, PLAIN, RELAY, Effect, Owed
from protocol.sql.command import Command, CommandKind
from protocol.tags import FrontendTag
from trio_pool.relay.effects import Indispensable
from trio_pool.relay.state import BackendState, Relay
from trio_pool.settings import (
    ClientSettings,
    canonical,
    quote_literal,
    set_all,
    set_config,
    settled,
)

# RESET ALL leaves them alone (utils/misc/guc.c, GUC_NO_RESET_ALL).
_IDENTITY: Final = (b"role", b"session_authorization")


def goes_back(settings: ClientSettings, command: Command, text: bytes) -> bytes | None:
    """What to say instead of this command, for it to go back to the client's startup packet.

    None when it may stay as it is.
    """
    if not settings.startup:
        return None
    if command.kind is CommandKind.RESET and command.all:
        calls = [
            b"PERFORM " + set_config(name, quote_literal(value)) + b";"
            for name, value in sorted(settings.startup.items())
            if name not in _IDENTITY
        ]
        return _block(b"RESET ALL;" + b"".join(calls))
    if command.setting is None or not _to_default(command, text):
        return None
    name = canonical(command.setting)
    value = settings.startup.get(name)
    if value is None or name == b"session_authorization":
        return None
    local = b"true" if command.local else b"false"
    return _block(b"PERFORM " + set_config(name, quote_literal(value), local) + b";")


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


def _say(relay: Relay, backend: BackendState, text: bytes, execution: Owed) -> None:
    name = relay.pool.new_name()
    relay.to_server += [
        frontend.parse(name, text),
        frontend.bind(name, name),
        frontend.execute(name),
        frontend.close_statement(name),
    ]
    pipeline = backend.pipeline
    pipeline.owe(HIDDEN[FrontendTag.PARSE])
    pipeline.owe(HIDDEN[FrontendTag.BIND])
    pipeline.owe(execution)
    pipeline.owe(HIDDEN[FrontendTag.CLOSE])


class Discarded(Effect):
    """The end of a DISCARD ALL that came as a Query: there are no names any more."""

    __slots__ = ()


def discard_all(relay: Relay, backend: BackendState, text: bytes) -> bool:
    """Say a Query that is a lone DISCARD ALL in the extended protocol, and come back behind it.

    False when it must go as it is: nothing to come back to, or a segment is open that may fail.
    """
    if not relay.settings.startup or backend.pipeline.segment_open:
        return False
    pipeline = backend.pipeline
    name = relay.pool.new_name()
    # A Query drops the unnamed statement; whether it succeeds or not, none may be left here.
    relay.to_server += [
        frontend.close_statement(),
        frontend.parse(name, text),
        frontend.bind(name, name),
        frontend.execute(name),
    ]
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
