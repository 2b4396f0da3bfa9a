"""Thousands of clients in one process, of which a few at a time have a transaction.

    python -m tests.benchmarks.crowd HOST PORT USER DATABASE CLIENTS ACTIVE SECONDS

(the password in PGPASSWORD) logs all of them in, prints `connected`, and reads a line. Then
ACTIVE of them at any time, in turn, run a query; it prints `begin` when that goes round, and
after SECONDS one line of JSON. It reads a second line before everybody leaves, so that whoever
started it can look at the pooler at each of these moments.
"""

from __future__ import annotations

import json
import os
import selectors
import sys
import time
from collections import deque
from typing import Final

import attrs

from protocol import frontend
from tests.benchmarks.client import PATIENCE_SECONDS, READY, Client, Refused, Way
from tests.benchmarks.figures import Figures, latencies

_QUERY: Final = frontend.query(b"select 1")
_WARM_SECONDS: Final = 0.5


@attrs.define(eq=False)
class Member:
    """One client, and since when it waits for an answer."""

    client: Client
    since: float = 0.0
    answer: bytes = b""


class Crowd:
    """Clients that are connected; `turn` has them run queries."""

    def __init__(self, way: Way, number: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._idle: deque[Member] = deque()
        for _ in range(number):
            member = Member(Client(way))
            self._selector.register(member.client.socket, selectors.EVENT_READ, member)
            self._idle.append(member)

    def start(self, active: int) -> None:
        """Let this many run a query. Their answers start others."""
        for _ in range(active):
            self._next()

    def turn(self, seconds: float) -> list[float]:
        """Go on for this long; how many seconds each query took that was answered."""
        took: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            ready = self._selector.select(PATIENCE_SECONDS)
            if not ready:
                raise Refused(f"no answer for {PATIENCE_SECONDS:.0f} seconds")
            for key, _ in ready:
                member: Member = key.data
                if self._has_answer(member):
                    took.append(time.perf_counter() - member.since)
                    self._idle.append(member)
                    self._next()
        return took

    def _next(self) -> None:
        """Why the one that was idle for longest: every session of the pooler has its turn."""
        member = self._idle.popleft()
        member.answer = b""
        member.since = time.perf_counter()
        member.client.send(_QUERY)

    def _has_answer(self, member: Member) -> bool:
        data = member.client.socket.recv(4096)
        if not data:
            raise Refused("closed by the other side")
        member.answer += data
        if member.answer[:1] == b"E":
            raise Refused(member.answer[:300].decode(errors="replace"))
        return member.answer.endswith(READY)


def main(words: list[str]) -> int:
    """Be a crowd; the exit status is 1, with a reason, when it could not be carried."""
    host, port, user, database, number, active, seconds = words
    way = Way(
        host=host,
        port=int(port),
        user=user,
        password=os.environ["PGPASSWORD"],
        database=database,
    )
    try:
        crowd = Crowd(way, int(number))
        _say("connected")
        sys.stdin.readline()
        crowd.start(int(active))
        crowd.turn(_WARM_SECONDS)
        _say("begin")
        _say(json.dumps(_figures(crowd.turn(float(seconds)))))
        sys.stdin.readline()
    except (Refused, OSError) as failure:
        print(f"crowd: {failure}", file=sys.stderr)
        return 1
    return 0


def _figures(took: list[float]) -> Figures:
    if not took:
        raise Refused("nothing was answered")
    return {"units": float(len(took))} | latencies(took)


def _say(what: str) -> None:
    print(what, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
