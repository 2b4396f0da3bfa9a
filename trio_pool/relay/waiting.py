"""Refusing the query of a client that waits for a backend, as if the server had.

Outside a transaction, with nothing sent, an error in place of the first segment is what
PostgreSQL would show for a query cancelled before it did anything.
"""

from __future__ import annotations

from protocol.backend import error_response, ready_for_query
from protocol.tags import FrontendTag
from trio_pool.relay.state import Relay

_CANCELED = error_response("ERROR", "57014", "canceling statement due to user request")


def refuse_waiting_query(relay: Relay) -> bool:
    """Drop the segment the client waits with and answer that it was cancelled.

    False when its end has not arrived yet: then nothing is done.
    """
    data = b"".join(relay.parts)
    stop = _segment_stop(data)
    if stop == 0:
        return False
    rest = data[stop:]
    relay.parts = [rest] if rest else []
    relay.parts_bytes = len(rest)
    relay.parts_needed = 0
    relay.wants_backend = False
    relay.to_client.append(_CANCELED + ready_for_query())
    return True


def _segment_stop(data: bytes) -> int:
    """Where the first segment ends, or 0 when it is not complete."""
    position = 0
    while position + 5 <= len(data):
        tag = data[position]
        position += 1 + int.from_bytes(data[position + 1 : position + 5], "big")
        if position > len(data):
            return 0
        if tag in (FrontendTag.SYNC, FrontendTag.QUERY, FrontendTag.FUNCTION_CALL):
            return position
    return 0
