"""What a backend still owes us: the reply ledger.

A Pipeline is the queue of requests sent on one backend whose replies have not all arrived.
Each entry says what becomes of its reply: relay it, drop it (we asked, not the client), or
fake it (the client asked, we already knew), and carries an Effect: how to make real, or take
back, what was believed when it was sent.

Rule 1: everything that depends on the order of replies is answered here; no other module
keeps a flag about it.
Rule 2: nothing here knows about clients, statements or pools.

The rules of the queue are PostgreSQL's (docs, "Message Flow"; tcop/postgres.c): an error in an
extended-query message silences everything up to the next Sync, simple queries included; an
error in a simple Query or at Sync itself silences nothing; Sync and Flush are ignored while
the server reads COPY data.
"""

from __future__ import annotations

from typing import Final

from protocol.ledger import DROP, RELAY, Ledger, Owed
from protocol.roles import SETTLED_BY
from protocol.tags import FrontendTag, TransactionStatus

# Requests an error does not silence: their ReadyForQuery comes all the same.
CLOSES_SEGMENT: Final = bytes([FrontendTag.SYNC, FrontendTag.QUERY, FrontendTag.FUNCTION_CALL])


# Requests without a belief need no entry of their own: these serve them all.
PLAIN: Final[dict[int, Owed]] = {kind: Owed(kind, RELAY) for kind in SETTLED_BY}
HIDDEN: Final[dict[int, Owed]] = {kind: Owed(kind, DROP) for kind in SETTLED_BY}
_BIND: Final = PLAIN[FrontendTag.BIND]
_DESCRIBE: Final = PLAIN[FrontendTag.DESCRIBE]
_EXECUTE: Final = PLAIN[FrontendTag.EXECUTE]
_QUERY: Final = PLAIN[FrontendTag.QUERY]
_SYNC: Final = PLAIN[FrontendTag.SYNC]
_FINISH: Final = [_DESCRIBE, _EXECUTE, _SYNC]
_REQUEST: Final = [_BIND, *_FINISH]
_IDLE: Final = TransactionStatus.IDLE

# How far a segment has come that no Sync has ended yet: what is prepared outlives it, what is bound
# does not.
CLOSED: Final = 0
PREPARING: Final = 1
WORKING: Final = 2


class Pipeline:
    """The ledger of one backend.

    `status` is what the last ReadyForQuery said. `segment` counts the Syncs, Queries and
    FunctionCalls sent, so that two requests of one segment can be told from others;
    `segment_open` is CLOSED, PREPARING or WORKING.
    """

    __slots__ = ("owed", "skipping", "status", "segment", "segment_open", "copying_in")

    def __init__(self) -> None:
        self.owed = Ledger()
        self.skipping = False
        self.status: int = _IDLE
        self.segment = 0
        self.segment_open = CLOSED
        self.copying_in = False

    @property
    def quiet(self) -> bool:
        """Nothing is owed and nothing is half done: the backend may change hands."""
        return (
            self.owed.head is None
            and not self.segment_open
            and not self.skipping
            and not self.copying_in
            and self.status == _IDLE
        )

    def owe(self, entry: Owed) -> None:
        """Remember a request of an extended-query segment in the breath that sends it."""
        self.owed.append(entry)
        self.segment_open = WORKING

    def owe_preparing(self, entry: Owed) -> None:
        """The same for a Parse, the Describe of a statement, or a Close: they do no work."""
        self.owed.append(entry)
        if not self.segment_open:
            self.segment_open = PREPARING

    def owe_unheard(self, entry: Owed) -> None:
        """Remember a request that is answered in its turn and that the server never hears of."""
        self.owed.append(entry)

    @property
    def only_prepared(self) -> bool:
        """All is answered, without an error, of an open segment that does no work.

        Its transaction is its own: a Sync here would take nothing from the client.
        """
        return (
            self.segment_open == PREPARING
            and not self.owed
            and not self.skipping
            and self.status == _IDLE
        )

    @property
    def fresh(self) -> bool:
        """Nothing of the client's has been sent in this transaction, which has not begun."""
        if self.status != _IDLE or self.segment_open:
            return False
        last = self.owed.last
        return last is None or last.fate == DROP

    def owe_finish(self) -> None:
        """Remember Describe, Execute and Sync in one."""
        self.owed.extend(_FINISH)
        self.segment += 1
        self.segment_open = CLOSED

    def owe_request(self) -> None:
        """Remember Bind, Describe, Execute and Sync in one."""
        self.owed.extend(_REQUEST)
        self.segment += 1
        self.segment_open = CLOSED

    def owe_query(self) -> None:
        """Remember a Query that believes nothing."""
        self.owed.append(_QUERY)
        self.segment += 1
        self.segment_open = CLOSED

    @property
    def owes_query(self) -> bool:
        """Whether a Query that believes nothing is all that was asked."""
        return self.owed.head is _QUERY and len(self.owed) == 1

    def owes_request(self, parse: Owed | None) -> bool:
        """Whether `owe_request` was all that was asked, behind `parse` if there is one."""
        outstanding = self.owed.outstanding()
        if parse is None:
            return outstanding == _REQUEST
        return outstanding[1:] == _REQUEST and outstanding[0] is parse

    def request_answered(self, parse: Owed | None, status: int) -> None:
        """What `owes_request` or `owes_query` tells of was answered without an error."""
        self.owed.clear()
        self.status = status
        self.copying_in = False
        if parse is not None:
            parse.open = False
            if parse.effect is not None:
                parse.effect.settled()

    def owe_closing(self, entry: Owed) -> None:
        """Remember a request that ends the segment: Sync, Query or FunctionCall."""
        self.owed.append(entry)
        self.segment += 1
        self.segment_open = CLOSED

    @property
    def first_open_segment(self) -> int:
        """The number of the oldest segment that has not been answered to its end."""
        return self.segment - sum([entry.kind in CLOSES_SEGMENT for entry in self.owed])

    def status_known(self) -> bool:
        """True when no ReadyForQuery is outstanding, so that `status` is the present one."""
        return all(entry.kind not in CLOSES_SEGMENT for entry in self.owed)

    def settle(self) -> Owed:
        """The final reply of the head arrived: it leaves the queue."""
        entry = self.owed.head
        assert entry is not None
        self.owed.drop_head()
        effect = entry.effect
        if effect is not None:
            entry.open = False
            effect.settled()
        return entry

    def ready(self, status: int) -> None:
        """ReadyForQuery arrived; `settle` takes its entry off."""
        self.status = status
        self.copying_in = False

    def fail(self) -> None:
        """ErrorResponse arrived for the head; what it silences leaves the queue unanswered."""
        self.copying_in = False
        blamed = self.owed.head
        if blamed is None or blamed.kind in CLOSES_SEGMENT:
            return
        killed: list[Owed] = []
        head = self.owed.drop_head()
        while head is not None and head.kind != FrontendTag.SYNC:
            killed.append(head)
            head = self.owed.drop_head()
        if head is None:
            self.skipping = True
        for entry in reversed(killed):
            if entry.effect is not None:
                entry.open = False
                entry.effect.skipped()
        if blamed.effect is not None:
            blamed.open = False
            blamed.effect.failed()

    def copy_in_begins(self) -> None:
        """CopyInResponse arrived: Syncs sent behind an Execute are ignored by the server.

        An Execute at the head means the extended protocol, where a client may have sent its
        Sync already; the server reads and forgets it while it waits for data (docs, "COPY
        Operations").
        """
        self.copying_in = True
        outstanding = list(self.owed)
        if outstanding and outstanding[0].kind == FrontendTag.EXECUTE:
            stop = 1
            while stop < len(outstanding) and outstanding[stop].kind == FrontendTag.SYNC:
                stop += 1
            del outstanding[1:stop]
            self._end_early_copy(outstanding)
            last = outstanding[-1]
            closed = len(outstanding) > 1 and last.kind in CLOSES_SEGMENT
            self.segment_open = CLOSED if closed else WORKING
        else:
            self._end_early_copy(outstanding)
        self.owed.replace(outstanding)

    def _end_early_copy(self, outstanding: list[Owed]) -> None:
        """The client ended its data before it was asked for it: the copy is over already."""
        for index, entry in enumerate(outstanding):
            if entry.kind == FrontendTag.COPY_DONE:
                del outstanding[index]
                self.copying_in = False
                return

    def abandon(self) -> None:
        """The backend is gone: whatever is still owed will never come."""
        pending = list(self.owed)
        self.owed.replace([])
        for entry in reversed(pending):
            if entry.effect is not None:
                entry.open = False
                entry.effect.skipped()
