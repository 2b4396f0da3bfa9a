"""Pins as an operator sees them: one log line when a client begins to keep its backend, one when
it ends, and a list of all that hold now.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from trio_pool.journal import Journal
from trio_pool.pins import KINDS, Pin

if TYPE_CHECKING:
    from trio_pool.pool import Pool
    from trio_pool.relay import Relay
    from trio_pool.session import Session

log = Journal(__name__)


@attrs.frozen
class Pinned:
    """A client that keeps its backend; `since` is by Trio's clock."""

    database: str
    user: str
    session: int
    backend: int
    reason: str
    statement: str
    since: float


def pinned(sessions: Iterable[Session]) -> list[Pinned]:
    """All pins that hold, one row for each reason, oldest first."""
    rows = [
        Pinned(
            session.pool.database.name,
            session.user,
            session.number,
            session.backend.number,
            pin.reason,
            pin.statement,
            pin.since or session.active_at,
        )
        for session in sessions
        if session.backend is not None
        for pin in session.relay.pins
        if not (pin.over or pin.warns)
        # A client that listens may keep its backend for a moment.
        if pin.since or pin.reason not in session.relay.pool.pin_policy.shared
    ]
    return sorted(rows, key=lambda row: row.since)


def settle_pins(relay: Relay, number: int, pool: Pool) -> None:
    """A transaction has ended: say which pins begin, and drop those that are over."""
    kept = tuple(pin for pin in relay.pins if not (pin.over or pin.warns))
    for pin in relay.pins:
        if pin.warns:
            _warn(pin, number, pool)
        elif pin.over:
            _end(pin, number, pool)
        elif pin.since or pin.reason in relay.pool.pin_policy.shared:
            continue
        elif pin.certain or not relay.pins_suspect:
            begin_pin(pin, number, pool)
    relay.pins = kept


def end_pins(relay: Relay, number: int, pool: Pool) -> None:
    """The client has left: nothing of it pins any more."""
    for pin in relay.pins:
        _end(pin, number, pool)


def begin_pin(pin: Pin, number: int, pool: Pool) -> None:
    """Say that the client keeps its backend for this, unless it was said."""
    if pin.since:
        return
    pin.since = pool.now
    log.info(
        "client pinned session=%d pool=%s reason=%s: %s",
        number,
        pool.name,
        pin.reason,
        pin.statement,
    )


def _end(pin: Pin, number: int, pool: Pool) -> None:
    # What nobody was told of needs no end.
    if pin.since:
        seconds = pool.now - pin.since
        event = "client no longer pinned session=%d pool=%s reason=%s after=%.1f"
        log.info(event, number, pool.name, pin.reason, seconds)


def _warn(pin: Pin, number: int, pool: Pool) -> None:
    log.warning(
        "session state is left to the next client (pin_policy = %s:warn) session=%d pool=%s: %s",
        KINDS[pin.reason],
        number,
        pool.name,
        pin.statement,
    )
