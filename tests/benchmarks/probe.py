"""A client with a small query every few milliseconds, and how long each one took.

    python -m tests.benchmarks.probe HOST PORT USER DATABASE SECONDS

(the password in PGPASSWORD) prints `begin` and then one line of JSON. A query's time counts
from when it was *due*: one that waited behind a slow one was slow as well.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Final

from tests.benchmarks.client import Client, Refused, Way
from tests.benchmarks.figures import latencies

_EVERY_SECONDS: Final = 0.004


def main(words: list[str]) -> int:
    """Probe; the exit status is 1, with a reason, when an answer did not come."""
    host, port, user, database, seconds = words
    password = os.environ["PGPASSWORD"]
    way = Way(host=host, port=int(port), user=user, password=password, database=database)
    try:
        with Client(way) as client:
            client.ask(b"select 1")
            print("begin", flush=True)
            took = _probe(client, float(seconds))
    except (Refused, OSError) as failure:
        print(f"probe: {failure}", file=sys.stderr)
        return 1
    print(json.dumps(latencies(took) | {"max_ms": max(took) * 1e3}), flush=True)
    return 0


def _probe(client: Client, seconds: float) -> list[float]:
    took: list[float] = []
    due = time.perf_counter()
    end = due + seconds
    while due < end:
        time.sleep(max(0.0, due - time.perf_counter()))
        client.ask(b"select 1")
        took.append(time.perf_counter() - due)
        due += _EVERY_SECONDS
    return took


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
