"""A crowd of clients in one process of its own, so that its descriptors are its own too.

    python -m tests.support.crowd HOST PORT USER DATABASE CLIENTS TRANSACTIONS

(the password in PGPASSWORD) connects all clients, keeps them all connected, lets each run its
transactions with prepared statements of its own, and prints one line of JSON: how many
transactions were answered rightly, and the first few that were not. Every client is one task.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import sys

import attrs
import trio

from protocol import frontend, handshake
from protocol.framing import FrameReader
from protocol.stored_secrets import PlainSecret
from protocol.tags import BackendTag

_LOGINS_AT_ONCE = 32
_ERRORS_SHOWN = 5


@attrs.define
class Crowd:
    """Where to connect, how much to do, and what came of it."""

    host: str
    port: int
    user: str
    database: str
    password: str = attrs.field(repr=False)
    clients: int
    transactions: int
    done: int = 0
    connected: int = 0
    errors: list[str] = attrs.field(factory=list)
    everyone_is_there: trio.Event = attrs.field(factory=trio.Event)
    _door: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(_LOGINS_AT_ONCE))

    async def gather(self) -> None:
        """Run all clients to their end."""
        async with trio.open_nursery() as nursery:
            for number in range(self.clients):
                nursery.start_soon(self._client, number)

    async def _client(self, number: int) -> None:
        try:
            async with self._door:
                wire = await _Wire.open(self)
        except (OSError, EOFError) as failure:
            self._failed(f"client {number} could not log in: {failure!r}")
            self._arrived()
            return
        self._arrived()
        await self.everyone_is_there.wait()
        async with wire.stream:
            try:
                await self._work(number, wire)
            except (OSError, EOFError) as failure:
                self._failed(f"client {number}: {failure!r}")

    def _arrived(self) -> None:
        self.connected += 1
        if self.connected == self.clients:
            self.everyone_is_there.set()

    async def _work(self, number: int, wire: _Wire) -> None:
        """Half of the texts are the same for everyone, half are the client's own."""
        texts = (b"select $1::int + 1", b"select $1::int + %d" % (number % 50))
        added = (1, number % 50)
        for turn in range(self.transactions):
            which = turn % 2
            name = b"s%d" % which
            prepare = frontend.parse(name, texts[which]) if turn < 2 else b""
            request = (
                prepare
                + frontend.bind(b"", name, (), [b"%d" % number], ())
                + frontend.execute()
                + frontend.sync()
            )
            rows = await wire.ask(request)
            if rows == [b"%d" % (number + added[which])]:
                self.done += 1
            else:
                self._failed(f"client {number}, transaction {turn}: {rows!r}")

    def _failed(self, message: str) -> None:
        self.errors.append(message)


@attrs.define
class _Wire:
    """One client's stream, after its login."""

    stream: trio.SocketStream
    _frames: FrameReader

    @classmethod
    async def open(cls, crowd: Crowd) -> _Wire:
        wire = cls(await trio.open_tcp_stream(crowd.host, crowd.port), FrameReader())
        exchange = handshake.log_in(
            handshake.Credentials(crowd.user.encode(), PlainSecret(crowd.password.encode())),
            [(b"database", crowd.database.encode())],
            nonce=base64.b64encode(os.urandom(18)),
        )
        await wire.stream.send_all(next(exchange))
        try:
            while True:
                answer = exchange.send(await wire._frame())
                if answer:
                    await wire.stream.send_all(answer)
        except StopIteration:
            return wire

    async def ask(self, request: bytes) -> list[bytes]:
        """Send one segment; returns the only column of its rows, or its error."""
        await self.stream.send_all(request)
        rows: list[bytes] = []
        while True:
            tag, body = await self._frame()
            if tag == BackendTag.DATA_ROW:
                rows.append(body[6:])
            elif tag == BackendTag.ERROR:
                rows.append(body)
            elif tag == BackendTag.READY_FOR_QUERY:
                return rows

    async def _frame(self) -> tuple[int, bytes]:
        while (frame := self._frames.next_frame()) is None:
            data = await self.stream.receive_some()
            if not data:
                raise EOFError("closed by the other side")
            self._frames.feed(data)
        return frame


def main(arguments: list[str]) -> int:
    """Gather a crowd; the exit status says whether everything was answered rightly."""
    host, port, user, database, clients, transactions = arguments
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = Crowd(
        host,
        int(port),
        user,
        database,
        os.environ["PGPASSWORD"],
        int(clients),
        int(transactions),
    )
    trio.run(crowd.gather)
    shown = crowd.errors[:_ERRORS_SHOWN]
    print(json.dumps({"done": crowd.done, "errors": len(crowd.errors), "shown": shown}))
    return 1 if crowd.errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
