"""Last words: what a client is told before its connection ends, and time to read them.

Closing a socket whose peer has sent what nobody read resets it, and the reset may overtake the
words. So whoever is told something is waited for, but not for long.
"""

from __future__ import annotations

import trio

from protocol.backend import error_response
from trio_pool.journal import Journal
from trio_pool.session import Session
from trio_pool.wire import Socket, as_stream

log = Journal(__name__)

# How long a client may take to accept our last words.
GOODBYE_SECONDS = 2.0
_READ_BYTES = 65_536
_LEFT = "client left"


def fatal(sqlstate: str, text: str, hint: str | None) -> bytes:
    """The message that ends a connection."""
    return error_response("FATAL", sqlstate, text, hint=hint)


async def dismiss(sock: Socket, words: bytes) -> None:
    """Say `words` to a client that is not logged in, and close."""
    with trio.move_on_after(GOODBYE_SECONDS):
        await say(sock, words, linger=True)


async def part_with(session: Session) -> None:
    """Say why a session has ended, if it can be said, and close; even while the pooler stops."""
    ending = session.ending
    if ending is None and not session.wire.sending:
        part_at_once(session)
        return
    _note(session, ending.text if ending is not None else _LEFT)
    sock, words = session.wire.give_up()
    if ending is not None and not ending.told and not session.quiet_end:
        words += fatal(ending.code, ending.text, ending.advice)
    deadline = trio.current_time() + GOODBYE_SECONDS
    with trio.CancelScope(shield=True, deadline=deadline):
        await say(sock, words, linger=ending is not None)


def part_at_once(session: Session) -> None:
    """Close on a client that has left, and has been sent everything."""
    _note(session, _LEFT)
    session.wire.close()


def _note(session: Session, why: str) -> None:
    if session.pool.settings.log_disconnections:
        log.info("client disconnected session=%d reason=%r", session.number, why)


async def say(sock: Socket, words: bytes, linger: bool) -> None:
    """Send `words` and close; with `linger` the other side closes first, if it does."""
    async with as_stream(sock) as stream:
        try:
            if words:
                await stream.send_all(words)
            if linger:
                await stream.send_eof()
                while await stream.receive_some(_READ_BYTES):
                    pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            log.debug("client left before our last words")
