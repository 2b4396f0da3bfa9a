"""A Query that ends a failed transaction first and executes prepared statements then.

Nothing can be prepared in a failed transaction, so what the rest of the text needs cannot be
replayed in front of it. Such a Query is said in three parts, and its client hears one answer:

1. the whole text behind a SELECT, which a failed transaction refuses: the server has
   read all of the text by then and done nothing, as an error in the syntax of its end would
   have kept the beginning from being carried out;
2. the command that ends the transaction;
3. the rest, handled like any other Query, with blanks in the place of what is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from protocol import frontend
from protocol.ledger import DROP, RELAY, Effect, Owed
from protocol.sql.command import Command, CommandKind
from protocol.sql.rewrite import character_count
from protocol.tags import FrontendTag
from trio_pool.relay.naming import transaction_failed
from trio_pool.relay.reports import edit_for_plan
from trio_pool.relay.state import BackendState, Relay

_ENDS: Final = (
    CommandKind.COMMIT,
    CommandKind.ROLLBACK,
    CommandKind.ROLLBACK_TO,
    CommandKind.PREPARE_TRANSACTION,
)
_NOTHING: Final = b"select '';"
_REFUSED: Final = b"C25P02\0"


class Part(Effect):
    """One of the first two parts. While `goes_on`, its ReadyForQuery is not for the client."""

    __slots__ = ("relay", "text", "stop", "goes_on")

    def __init__(self, relay: Relay, text: bytes, stop: int, goes_on: bool):
        self.relay = relay
        self.text = text
        # Where the command that ends the transaction does.
        self.stop = stop
        self.goes_on = goes_on

    def refused(self, body: bytes) -> bool:
        """The server reports this error; whether the client must not see it."""
        self.goes_on = False
        return False

    def edit_error(self, body: bytes) -> bytes:
        """The error with its position in the client's own text."""
        return body


class Reading(Part):
    """The whole text, for the server to read."""

    __slots__ = ()

    def refused(self, body: bytes) -> bool:
        """In the failed transaction it must be, unless the text cannot even be read."""
        self.goes_on = _REFUSED in body
        return self.goes_on

    def edit_error(self, body: bytes) -> bytes:
        """The error with its position in the client's own text."""
        return edit_for_plan(body, self.text, [(0, 0, _NOTHING)])

    def settled(self) -> None:
        if self.goes_on:
            effect = Ended(self.relay, self.text, self.stop, True)
            _say(self.relay, self.text[: self.stop], effect)


class Ended(Part):
    """The command that ends the transaction."""

    __slots__ = ()

    def settled(self) -> None:
        if not self.goes_on:
            return
        relay = self.relay
        blanks = b" " * character_count(self.text[: self.stop])
        rest = frontend.query(blanks + self.text[self.stop :])
        relay.parts.insert(0, rest)
        relay.parts_bytes += len(rest)


def said_apart(
    relay: Relay, backend: BackendState, text: bytes, commands: Sequence[Command]
) -> bool:
    """Whether the Query is being said in parts, so that nothing of it is to be sent any more."""
    if not transaction_failed(backend) or not _ends_and_executes(relay, backend, commands):
        return False
    relay.client.unnamed = None
    backend.statements.unnamed = None
    _say(relay, _NOTHING + text, Reading(relay, text, commands[0].stop, False))
    return True


def status_must_be_known(relay: Relay, backend: BackendState, commands: Sequence[Command]) -> bool:
    """Whether it is not known yet if the transaction has failed: then the relay is on hold."""
    pipeline = backend.pipeline
    if pipeline.segment_open or pipeline.status_known():
        return False
    if not _ends_and_executes(relay, backend, commands):
        return False
    relay.to_server.append(frontend.sync())
    # An entry of our own to wait for: those without an effect do not say when they are answered.
    entry = Owed(FrontendTag.SYNC, DROP, Effect())
    pipeline.owe_closing(entry)
    relay.hold_for(entry)
    return True


def nothing_is_done(backend: BackendState, commands: Sequence[Command]) -> bool:
    """Whether the transaction has failed and a text does not begin with its end.

    The server then refuses the text as it is, whatever the names in it mean.
    """
    return transaction_failed(backend) and bool(commands) and commands[0].kind not in _ENDS


def _ends_and_executes(relay: Relay, backend: BackendState, commands: Sequence[Command]) -> bool:
    """Whether a text ends a transaction and then wants what this backend has not prepared."""
    if len(commands) < 2 or commands[0].kind not in _ENDS:
        return False
    for command in commands:
        if command.kind is CommandKind.EXECUTE and command.name is not None:
            statement = relay.client.names.get(command.name)
            if statement is not None and statement not in backend.statements.names:
                return True
    return False


def _say(relay: Relay, text: bytes, effect: Part) -> None:
    backend = relay.backend
    assert backend is not None
    relay.to_server.append(frontend.query(text))
    entry = Owed(FrontendTag.QUERY, RELAY, effect)
    backend.pipeline.owe_closing(entry)
    relay.hold_for(entry)
