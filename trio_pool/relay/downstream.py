"""From the server to the client: match every message with what is owed.

Rows and COPY data pass by length alone. Everything else settles, fails or accompanies the
request at the head of the ledger and shares its fate; faked replies take their place in line.
Here is the way of the ordinary reply, to a request that believed nothing; all other messages
are looked at in trio_pool.relay.replies. What the ledger does not expect raises
ProtocolViolation: the backend is discarded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.errors import ProtocolViolation
from protocol.framing import after_alike, check_backend_header
from protocol.ledger import DROP, FAKE
from protocol.roles import ACCOMPANIES, ENDS, ROLES, ROW
from protocol.tags import BackendTag
from trio_pool.relay.replies import begin_copy_in, out_of_turn, take_message, watch_tag
from trio_pool.relay.state import BackendState, Relay, emit_fakes
from trio_pool.relay.whole import take_answer

if TYPE_CHECKING:
    from mypy_extensions import i64

# Passed on in pieces; everything else is collected until it is whole.
_BULK: Final = bytes([BackendTag.DATA_ROW, BackendTag.COPY_DATA, BackendTag.FUNCTION_RESULT])

# BackendTag's, which are asked for once per message. Why numbers of this module's own: what stands
# in another one is looked up each time; compiled, these are part of the code.
_COMMAND_COMPLETE: Final = 0x43
_COPY_IN: Final = 0x47
_READY: Final = 0x5A
# How the tags begin that are watched (DISCARD, DEALLOCATE, ...).
_D: Final = 0x44
# What the whole answer to a whole request begins with, and it is longer (trio_pool.relay.whole).
_BEGINS: Final = bytes([chr(tag) in "12TC" for tag in range(256)])
_WHOLE_BYTES_MIN: Final = 16


def take_from_server(relay: Relay, chunk: bytes) -> None:
    """Handle received bytes; what is to be sent is in relay.to_client and relay.to_server.

    Sets relay.resume when client bytes that were held back can be handled now. Raises
    ProtocolViolation for what no server that follows the protocol says, and an Ending when the
    session cannot go on with this backend.
    """
    backend = relay.backend
    assert backend is not None
    if len(chunk) > _WHOLE_BYTES_MIN and _BEGINS[chunk[0]]:
        if take_answer(relay, backend, chunk):
            return
    if backend.partial:
        chunk = backend.partial + chunk
        backend.partial = b""
    relay.down_run = 0
    start = 0
    if relay.down_passing:
        start = min(relay.down_passing, len(chunk))
        relay.down_passing -= start
    try:
        position = _take_messages(relay, backend, chunk, start)
    except IndexError as error:
        # Why no look at the length: it would be one for each message of each transaction.
        raise ProtocolViolation("server sent a message that is too short") from error
    if relay.down_run or position < len(chunk):
        relay.cut_down(chunk, max(position, relay.down_run))
        backend.partial = chunk[position:]
    elif relay.to_client.first is None:
        relay.to_client.first = chunk
    else:
        relay.to_client.append(chunk)
    if relay.redo and relay.to_client.first is not None:
        relay.redo = b""
    if relay.hold is not None and not relay.hold.open:
        relay.hold = None
        relay.resume = True


def _take_messages(relay: Relay, backend: BackendState, chunk: bytes, position: i64) -> i64:
    """Handle messages from `position` on; returns where the incomplete rest begins."""
    pipeline = backend.pipeline
    owed = pipeline.owed
    end: i64 = len(chunk)
    head = owed.head
    while position + 5 <= end:
        tag: i64 = chunk[position]
        length: i64 = (
            (chunk[position + 1] << 24)
            | (chunk[position + 2] << 16)
            | (chunk[position + 3] << 8)
            | chunk[position + 4]
        )
        stop: i64 = position + 1 + length
        role: i64 = 0
        if head is not None and stop <= end and length >= 4:
            role = head.roles[tag]
        if role == ENDS:
            if tag == _READY:
                pipeline.ready(chunk[position + 5])
                relay.counters.queries += 1
            elif tag == _COMMAND_COMPLETE and chunk[position + 5] == _D:
                watch_tag(relay, backend, chunk, position, stop)
            if head is None or head.effect is None:
                head = owed.drop_head()
            else:
                pipeline.settle()
                head = owed.head
            if head is not None and head.fate == FAKE:
                relay.cut_down(chunk, stop)
                emit_fakes(relay, pipeline)
                head = owed.head
        elif role == ROW:
            stop = after_alike(chunk, position)
        elif role != ACCOMPANIES:
            stop = _take_carefully(relay, backend, chunk, position, length)
            if stop <= position:
                break
            head = owed.head
        elif tag == _COMMAND_COMPLETE and chunk[position + 5] == _D:
            watch_tag(relay, backend, chunk, position, stop)
        elif tag == _COPY_IN:
            begin_copy_in(relay, backend)
        position = stop
    return position


def _take_carefully(
    relay: Relay, backend: BackendState, chunk: bytes, position: int, length: int
) -> int:
    """Handle a message that is special or incomplete; returns `position` when it must wait."""
    tag, end, stop = chunk[position], len(chunk), position + 1 + length
    check_backend_header(tag, length)
    head = backend.pipeline.owed.head
    if tag in _BULK and (head is None or head.fate != DROP):
        # Rows go where the rest of the answer goes, in pieces if they are large.
        if head is None or ROLES[head.kind][tag] not in (ROW, ACCOMPANIES):
            raise out_of_turn(tag)
        if stop > end:
            relay.down_passing = stop - end
            return end
    elif stop > end:
        return position
    else:
        take_message(relay, backend, tag, chunk, position, stop)
    return stop
