"""Clients that are kept from one random script to the next.

A login takes longer than most scripts. What a script has left in its session is undone as an
application would do it, and what the server says to that is compared like everything else.
"""

from __future__ import annotations

from typing import Final

import attrs

from trio_pool.conform.client import Client
from trio_pool.conform.replies import Reply, letters
from trio_pool.conform.words import query
from trio_pool.proof import Door

_RENEW: Final = query("rollback") + query("discard all")
_RENEWED: Final = ("C Z C Z", "N C Z C Z")


@attrs.define
class Seats:
    """Clients behind one door that are at rest and like new."""

    door: Door
    _free: list[Client] = attrs.field(init=False, factory=list)
    # Those who are like new after DISCARD ALL: their logins said nothing.
    _plain: set[Client] = attrs.field(init=False, factory=set)

    async def take(self, parameters: dict[str, str], chunk: int) -> Client:
        """A client like a new one; one with startup parameters is new. Raises Refused."""
        if parameters:
            return await Client.open(self.door, parameters, chunk)
        if not self._free:
            client = await Client.open(self.door, chunk=chunk)
            self._plain.add(client)
            return client
        client = self._free.pop()
        client.chunk = chunk
        return client

    async def give_back(self, client: Client) -> list[Reply]:
        """Make it like new, or send it home; returns what it was told."""
        replies = await client.ask(_RENEW, "ZZ")
        if client in self._plain and letters(replies) in _RENEWED:
            self._free.append(client)
        else:
            self._plain.discard(client)
            client.close()
        return replies

    async def dismiss(self) -> None:
        """Send everybody home."""
        while self._free:
            await self._free.pop().say_goodbye()
