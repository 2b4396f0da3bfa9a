"""Preparing a text as it was read when the client prepared it.

Constants are read once, when a statement is parsed: '01/02/2024'::date means what DateStyle said
then. When the client has changed such a setting since, the replay is wrapped into two queries
that set it back and forth. They end an implicit transaction, so this is done only where none
of the client's is open; in a transaction block the settings are local to it.
"""

from __future__ import annotations

from protocol import frontend
from protocol.ledger import DROP, Owed
from protocol.pipeline import HIDDEN
from protocol.tags import FrontendTag, TransactionStatus
from trio_pool.relay.effects import Indispensable, Replay
from trio_pool.relay.state import BackendState, Relay
from trio_pool.settings import reading_differs
from trio_pool.statements import Statement


class Aside(Indispensable):
    """One of the two queries; what they make the server report is not the client's business."""

    __slots__ = ("replay",)

    def __init__(self, replay: Replay | None = None):
        self.replay = replay

    def settled(self) -> None:
        replay = self.replay
        if replay is not None and replay.refused:
            # The client's segment has failed with the replay: what is left of it is skipped.
            replay.backend.pipeline.skipping = True


def aside_must_wait(relay: Relay, backend: BackendState, statement: Statement) -> bool:
    """Whether an aside is needed and an earlier segment is not answered: the relay is on hold.

    An aside depends on the transaction's status, which that segment may change; the pool's own
    restoring of settings is one, too.
    """
    settings, pipeline = relay.settings, backend.pipeline
    if statement.environment is settings.parse_environment or pipeline.segment_open:
        return False
    if pipeline.status_known():
        return False
    if reading_differs(statement.environment, settings, backend.settings, False) is None:
        return False
    # An entry of our own to wait for: those without an effect do not say when they are answered.
    relay.to_server.append(frontend.sync())
    entry = Owed(FrontendTag.SYNC, DROP, Aside())
    pipeline.owe_closing(entry)
    relay.hold_for(entry)
    return True


def begin_aside(relay: Relay, backend: BackendState, statement: Statement) -> bytes | None:
    """Set what differs; returns the SQL that sets it back, or None when nothing differs."""
    pipeline = backend.pipeline
    if statement.environment is relay.settings.parse_environment:
        return None
    if pipeline.segment_open or not pipeline.status_known():
        return None
    local = pipeline.status == TransactionStatus.IN_TRANSACTION
    if not local and pipeline.status != TransactionStatus.IDLE:
        return None
    texts = reading_differs(statement.environment, relay.settings, backend.settings, local)
    if texts is None:
        return None
    relay.to_server.append(frontend.query(texts[0]))
    pipeline.owe_closing(Owed(FrontendTag.QUERY, DROP, Aside()))
    backend.statements.unnamed = None
    return texts[1]


def end_aside(relay: Relay, backend: BackendState, replay: Replay, back: bytes) -> Owed:
    """End the replay's own segment and set everything back; returns what to wait for."""
    relay.to_server.append(frontend.sync())
    backend.pipeline.owe_closing(HIDDEN[FrontendTag.SYNC])
    relay.to_server.append(frontend.query(back))
    entry = Owed(FrontendTag.QUERY, DROP, Aside(replay))
    backend.pipeline.owe_closing(entry)
    return entry
