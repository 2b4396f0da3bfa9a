"""What clients have not tidied up: open transactions, and state that keeps their backends.

For test suites that want to know which test left something behind (the pytest plugin's
`trio_pool_strict`), and for programs that ask their own pool.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import attrs

from protocol.tags import TransactionStatus
from trio_pool.channels import AWAY
from trio_pool.monitor import monitor_of
from trio_pool.pins import KINDS, LISTEN, shortened

if TYPE_CHECKING:
    from trio_pool.server import Server
    from trio_pool.session import Session

TRANSACTION: Final = "open transaction"


@attrs.frozen(kw_only=True)
class Leftover:
    """One thing that one client has left. `client` is the number of its session."""

    client: int
    user: str
    database: str
    kind: str
    """`open transaction`, or the reason of a pin such as `temporary objects`."""
    statement: str
    """What made it, where that is known; of a transaction what was said last, to a pool with
    hooks."""
    pins: bool
    settled: bool
    """Nothing is under way that may end it: no answer is owed, and the client has not left."""


def leftovers(server: Server) -> tuple[Leftover, ...]:
    """Everything that is left at this moment. Call it where the pooler runs."""
    found = [left for session in server.sessions.values() for left in _of(session)]
    return tuple(sorted(found, key=lambda left: left.client))


def _of(session: Session) -> Iterator[Leftover]:
    backend = session.backend
    if backend is None:
        listening = session.relay.listening
        if listening is not None and listening.place == AWAY:
            yield _leftover(session, LISTEN, listening.said, pins=False)
        return
    if backend.state.pipeline.status != TransactionStatus.IDLE:
        monitor = monitor_of(session.wire)
        said = shortened(monitor.texts[-1]) if monitor is not None and monitor.texts else ""
        yield _leftover(session, TRANSACTION, said, pins=False)
    for pin in session.relay.pins:
        if pin.reason in KINDS and not (pin.over or pin.warns):
            yield _leftover(session, pin.reason, pin.statement, pins=True)


def _leftover(session: Session, kind: str, statement: str, pins: bool) -> Leftover:
    owed = session.backend is not None and session.backend.state.pipeline.owed
    return Leftover(
        client=session.number,
        user=session.user,
        database=session.pool.database.name,
        kind=kind,
        statement=statement,
        pins=pins,
        settled=not session.leaving and not owed,
    )
