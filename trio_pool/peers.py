"""Processes that share a port: a cancel request finds the one that has its client.

A new connection, so also one with a cancel request, may reach any process of the group. Each
puts its peer_id into the numbers that it gives to clients; who is asked to cancel for another's
client passes the request on to that peer, by the addresses in [peers].
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

import trio

from protocol.startup import CancelRequest, cancel_request
from trio_pool.config import Peer
from trio_pool.journal import Journal
from trio_pool.wire import open_stream

log = Journal(__name__)

# The number of a client has 31 bits; with peers the upper 14 are the peer's (PgBouncer's limit).
_NUMBER_BITS: Final = 31
_OWN_BITS: Final = 17


def new_number(peer_id: int) -> int:
    """A random client number above 0, which tells those who know that it is `peer_id`'s."""
    if not peer_id:
        return secrets.randbelow(2**_NUMBER_BITS - 1) + 1
    return peer_id << _OWN_BITS | secrets.randbits(_OWN_BITS)


def peer_of(number: int, own_id: int, peers: Mapping[int, Peer]) -> Peer | None:
    """Whose client this is, if it is another's."""
    owner = number >> _OWN_BITS
    return peers.get(owner) if own_id and owner != own_id else None


class Messenger:
    """Passes cancel requests on; `under_way` counts them by peer."""

    def __init__(self) -> None:
        self.under_way: dict[int, int] = {}

    async def pass_on(self, request: CancelRequest, peer: Peer, seconds_max: float) -> None:
        """Have the peer carry it out; returns when it has, or when it does not answer."""
        self.under_way[peer.id] = self.under_way.get(peer.id, 0) + 1
        try:
            with trio.move_on_after(seconds_max or float("inf")):
                async with await open_stream(peer.host, peer.port) as stream:
                    await stream.send_all(cancel_request(request.pid, request.key))
                    while await stream.receive_some(1024):
                        pass
        except (OSError, trio.BrokenResourceError) as failure:
            log.warning("cannot pass a cancel request on to peer %d: %s", peer.id, failure)
        finally:
            self.under_way[peer.id] -= 1
