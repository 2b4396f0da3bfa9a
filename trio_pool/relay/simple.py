"""The client's simple messages: Query and FunctionCall.

Most Queries are ordinary: they pass on as they came, and all they do to the books is to drop
the unnamed statement, as in PostgreSQL (tcop/postgres.c, exec_simple_query). The others are
taken apart; those that prepare or deallocate change the books one CommandComplete at a time,
and the client's next message waits for the end, because what it must say depends on it.
"""

from __future__ import annotations

from typing import Final

from protocol import frontend
from protocol.framing import HEADER_BYTES
from protocol.ledger import FAKE, RELAY, Effect, Owed
from protocol.pipeline import HIDDEN, PLAIN
from protocol.sql.command import Classification, CommandKind
from protocol.tags import BackendTag, FrontendTag, TransactionStatus
from trio_pool.pins import SEQUENCE
from trio_pool.relay.about import (
    Plan,
    made_locally,
    make_plan,
    sets_something,
)
from trio_pool.relay.apart import nothing_is_done, said_apart, status_must_be_known
from trio_pool.relay.databases import DATABASE_VERBS, make_way
from trio_pool.relay.deeds import ask_about_prepared, do_deed, leave_stand_in
from trio_pool.relay.effects import UnnamedChange
from trio_pool.relay.hints import code_in, harmless, unknown_calls
from trio_pool.relay.pins import pins_of, refusal
from trio_pool.relay.questions import ask_for_settings
from trio_pool.relay.reports import edit_for_plan, rename
from trio_pool.relay.resets import discard_all, said_before
from trio_pool.relay.state import BackendState, Relay, link_of, make_customs, suspect_settings

# Why a name of this module's own: it is looked up once per Query.
_QUERY: Final = PLAIN[FrontendTag.QUERY]
_ABOUT = (CommandKind.PREPARE, CommandKind.EXECUTE, CommandKind.DEALLOCATE)
# They may go back to what the client came with.
_DEFAULTS = (CommandKind.SET, CommandKind.RESET)
# They begin a transaction, or want data.
_OPEN_ENDED = (CommandKind.BEGIN, CommandKind.COPY)
_ONLY_SETTING = (CommandKind.SET, CommandKind.RESET, CommandKind.SET_CHARACTERISTICS)


class PlannedQuery(Effect):
    """A Query that was written anew: each CommandComplete makes the next deed real."""

    __slots__ = ("relay", "backend", "plan", "done", "unnamed")

    def __init__(self, relay: Relay, backend: BackendState, plan: Plan, unnamed: UnnamedChange):
        self.relay = relay
        self.backend = backend
        self.plan = plan
        self.done = 0
        self.unnamed = unnamed

    def heard(self, tag: int, body: bytes) -> None:
        if tag != BackendTag.COMMAND_COMPLETE:
            return
        if self.done < len(self.plan.deeds):
            deed = self.plan.deeds[self.done]
            if deed is not None:
                do_deed(self.relay, self.backend, deed)
        self.done += 1

    def settled(self) -> None:
        self.unnamed.settled()
        for deed in self.plan.deeds:
            if deed is None:
                continue
            if not deed.done:
                leave_stand_in(self.backend, deed)
            elif deed.prepares and not self.relay.pool.forgetful:
                self.relay.unasked += (deed,)
        if self.backend.pipeline.status == TransactionStatus.IDLE:
            ask_about_prepared(self.relay, self.backend)

    def failed(self) -> None:
        self.skipped()

    def skipped(self) -> None:
        self.unnamed.skipped()
        for deed in self.plan.deeds:
            if deed is not None:
                leave_stand_in(self.backend, deed)

    def edit_error(self, body: bytes) -> bytes:
        """Point at the client's own text."""
        if not self.plan.points_elsewhere(self.done, body):
            body = edit_for_plan(body, self.plan.original, self.plan.replacements)
        return rename(self.relay, body, self.plan.alias_of(self.done))

    @property
    def tag(self) -> bytes | None:
        """What to show instead of the command tag that was heard last."""
        return self.plan.tags.get(self.done - 1)

    @property
    def hides(self) -> bool:
        """Whether the command whose tag was heard last is one of our own."""
        return self.done - 1 in self.plan.hidden


def on_query(relay: Relay, data: bytes, start: int, stop: int) -> bool:
    """Query: as it came, unless it speaks of prepared statements."""
    backend = relay.backend
    assert backend is not None
    # A server refuses what does not end in its first NUL, whatever it says.
    # Why the question: compiled, a slice that ends before it begins (no NUL at all) is an error.
    text = data[start + 5 : stop - 1] if stop - start > HEADER_BYTES else b""
    found: Classification | None = None
    functions = relay.pool.functions
    if not harmless(text, functions):
        found = relay.classifier.classify(text, relay.settings.standard_conforming_strings)
        if sets_something(found, text, backend.settings.initial):
            suspect_settings(relay, text)
        make_customs(relay, backend, made_locally(found, text))
        if found.commands and found.commands[0].keyword in DATABASE_VERBS:
            make_way(relay, text)
        calls = unknown_calls(text, ()) + code_in(found, text) + functions.watched(text)
        relay.suspect(calls, text)
        pins = pins_of(found, text)
        if SEQUENCE in pins and backend.pipeline.fresh:
            forget_sequences(relay, backend, data, start)
        refused = relay.refuses(pins)
        if refused is None:
            relay.pin(pins, text)
        elif found.unsure:
            return _send_refusal(relay, backend, data, start, stop, refused)
        if not found.unsure and (pins or _needs_plan(relay, found)):
            relay.cut(data, start)
            planned = _by_plan(relay, backend, text, stop, found)
            if planned is not None:
                return planned
    early = found is not None and _may_ask_at_once(relay, backend, found)
    backend.pipeline.owe_closing(_query_entry(relay, backend))
    if early:
        relay.cut(data, stop)
        ask_for_settings(relay, backend)
    return True


def _by_plan(
    relay: Relay, backend: BackendState, text: bytes, stop: int, found: Classification
) -> bool | None:
    """What `on_query` returns for a Query that may be written anew; None if it goes as it is."""
    if nothing_is_done(backend, found.commands):
        return None
    if status_must_be_known(relay, backend, found.commands):
        return False
    if said_apart(relay, backend, text, found.commands):
        relay.run = stop
        return True
    alone = bool(relay.settings.startup) and _discards_all_alone(found)
    if alone and said_before(relay, backend):
        return False
    plan = make_plan(relay, backend, text, found.commands, True)
    if plan is None:
        return False
    if not plan.replacements and not plan.drops_all:
        return None
    relay.run = stop
    if not (alone and discard_all(relay, backend, text)):
        _send_planned(relay, backend, plan)
    return True


def forget_sequences(relay: Relay, backend: BackendState, data: bytes, start: int) -> None:
    """The first reader of sequences in a pool must not find what others left on this backend."""
    if relay.pool.sequences_matter or backend.sequences_of is relay.client:
        return
    relay.cut(data, start)
    relay.to_server.append(frontend.query(b"DISCARD SEQUENCES"))
    backend.pipeline.owe_closing(HIDDEN[FrontendTag.QUERY])
    backend.statements.unnamed = None


def _may_ask_at_once(relay: Relay, backend: BackendState, found: Classification) -> bool:
    """Whether the question for the settings can travel in the client's own send.

    It can where the Query surely leaves no transaction open, in which it could fail.
    """
    if not relay.settings_suspect or not relay.pool.asks_early or found.unsure:
        return False
    # With pins all is asked together at the end.
    if relay.pins or not backend.pipeline.fresh:
        return False
    kinds = [command.kind for command in found.commands]
    if len(kinds) == 1:
        return kinds[0] not in _OPEN_ENDED
    return all(kind in _ONLY_SETTING for kind in kinds)


def _send_refusal(
    relay: Relay, backend: BackendState, data: bytes, start: int, stop: int, reason: str
) -> bool:
    """Have the server refuse a text of which nobody knows what it would do."""
    relay.cut(data, start)
    relay.run = stop
    relay.to_server.append(frontend.query(refusal(reason)))
    backend.pipeline.owe_closing(_query_entry(relay, backend))
    return True


def _needs_plan(relay: Relay, found: Classification) -> bool:
    """Whether a command may have to be written anew."""
    if any(command.kind in _ABOUT or command.all for command in found.commands):
        return True
    return bool(relay.settings.startup) and any(c.kind in _DEFAULTS for c in found.commands)


def _discards_all_alone(found: Classification) -> bool:
    command = found.commands[0]
    return len(found.commands) == 1 and command.all and command.kind is CommandKind.DISCARD


def _query_entry(relay: Relay, backend: BackendState) -> Owed:
    """A simple Query drops the unnamed statement, unless an earlier error swallows the Query."""
    effect: Effect | None = None
    unnamed = relay.client.unnamed is not None or backend.statements.unnamed is not None
    if unnamed and backend.pipeline.owed:
        effect = UnnamedChange(relay, backend)
    relay.client.unnamed = None
    backend.statements.unnamed = None
    if effect is None:
        return _QUERY
    entry = Owed(FrontendTag.QUERY, RELAY, effect, segment=backend.pipeline.segment)
    backend.statements.unnamed_change = entry
    return entry


def _send_planned(relay: Relay, backend: BackendState, plan: Plan) -> None:
    for notice in plan.notices:
        backend.pipeline.owe(Owed(FrontendTag.QUERY, FAKE, reply=notice))
    relay.to_server.append(frontend.query(plan.text))
    unnamed = UnnamedChange(relay, backend)
    relay.client.unnamed = None
    backend.statements.unnamed = None
    effect = PlannedQuery(relay, backend, plan, unnamed)
    entry = Owed(FrontendTag.QUERY, RELAY, effect, segment=backend.pipeline.segment)
    backend.statements.unnamed_change = entry
    backend.pipeline.owe_closing(entry)
    backend.doomed += plan.refusing
    if plan.changes_books:
        relay.hold_for(entry)


def on_function_call(relay: Relay, data: bytes, start: int, stop: int) -> bool:
    """FunctionCall ends the segment like a Query, and has a ReadyForQuery of its own."""
    link_of(relay).pipeline.owe_closing(PLAIN[FrontendTag.FUNCTION_CALL])
    return True
