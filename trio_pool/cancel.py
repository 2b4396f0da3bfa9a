"""CancelRequest: reach the right query, and never the next borrower's.

A client's key leads to its session. If the session holds a backend that owes it something,
the server is asked, over a connection of its own, to interrupt that backend, which cannot
change hands until the server has closed that connection (its signal is sent by then) and has
answered one more empty round trip. If the session only waits for a backend, the query it
waits with is refused on the spot, as PostgreSQL would.

A signal that reaches a server which has not read the query yet is lost. Through a pool that is
likelier than on a connection of one's own (a statement may have to be prepared first), so the
request is said again if the query was new and the very same segment is still unanswered. The
client is not listened to meanwhile: nothing newer of its can be hit.
"""

from __future__ import annotations

from typing import Final

import attrs
import trio

from protocol.startup import cancel_request
from trio_pool.backend import Backend
from trio_pool.journal import Journal
from trio_pool.opening import connect_to
from trio_pool.pool import Pool
from trio_pool.pool.errands import settle
from trio_pool.relay.waiting import refuse_waiting_query
from trio_pool.session import Session

# What was said longer ago than this the server has read: then its signal was not lost, and a
# query that goes on all the same (it may handle being cancelled) is left alone.
_RECENT_SECONDS: Final = 0.5
# Limit: the longest wait for a server's cancel where the configuration has none.
_WAIT_SECONDS: Final = 10.0
_AGAIN_AFTER_SECONDS: Final = (0.1, 0.4)

log = Journal(__name__)


@attrs.frozen
class Target:
    """What a cancel request was meant for: the segment that was unanswered when it came."""

    session: Session
    backend: Backend
    segment: int
    # The client has sent it a moment ago: the server may not have read it yet.
    recent: bool

    @property
    def unanswered(self) -> bool:
        """The client still waits for it, on the same backend."""
        backend = self.backend
        if self.session.backend is not backend or self.session.ended.is_set():
            return False
        pipeline = backend.state.pipeline
        return bool(pipeline.owed) and pipeline.first_open_segment == self.segment


def aim(session: Session | None) -> Target | None:
    """What a request means whose key was found to be `session`'s (None: nobody's).

    A query that waits for a backend is refused here and now. A target's backend changes hands
    only when `shoot`, which must follow, has ended.
    """
    if session is None or session.ended.is_set():
        return None
    backend = session.backend
    if backend is None:
        if session.waiting_since and refuse_waiting_query(session.relay):
            session.no_longer_waits()
        return None
    listening = session.relay.listening
    if listening is not None and listening.crossing is not None:
        # The backend is at a question of ours; what the client says has not been sent yet.
        if refuse_waiting_query(session.relay):
            session.send()
        return None
    if not backend.key or not backend.state.pipeline.owed:
        return None
    backend.cancels += 1
    recent = backend.pool.now - session.active_at < _RECENT_SECONDS
    return Target(session, backend, backend.state.pipeline.first_open_segment, recent)


async def insist(target: Target, seconds_max: float) -> None:
    """Say the request again while its segment is unanswered: the server may not have read it."""
    for pause in _AGAIN_AFTER_SECONDS:
        await trio.sleep(pause)
        if not target.unanswered:
            return
        wire = target.session.wire
        deaf = wire.reading
        wire.pause()
        try:
            target.backend.cancels += 1
            await shoot(target.backend, seconds_max)
        finally:
            if deaf and not target.session.leaving:
                wire.resume()


async def shoot(backend: Backend, seconds_max: float) -> None:
    """Ask the server to interrupt what `backend` is at; `backend.cancels` counts it already."""
    pool = backend.pool
    certain = False
    try:
        certain = await interrupt(
            pool, backend.address, backend.pid, backend.key, seconds_max, backend.server_address
        )
    finally:
        settle(pool, backend, certain)


async def interrupt(
    pool: Pool, address: tuple[str, int], pid: int, key: bytes, seconds_max: float, at: str = ""
) -> bool:
    """Ask a server of `pool` to interrupt one of its processes; whether it has acted on it.

    `at` is the very address that the process was reached at, where that is known.
    """
    try:
        # Why shielded: see `Server._shoot`.
        with trio.move_on_after(seconds_max or _WAIT_SECONDS, shield=True):
            stream = await connect_to(address, pool.settings, pool.encryption, at=at)
            async with stream:
                await stream.send_all(cancel_request(pid, key))
                # The server closes once it has sent its signal.
                while await stream.receive_some(1024):
                    pass
            return True
    except (OSError, trio.BrokenResourceError) as failure:
        log.warning("cancel request failed server_pid=%d: %s", pid, failure)
    return False
