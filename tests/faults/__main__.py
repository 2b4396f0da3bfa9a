"""The sweep as a command: `python -m tests.faults --every-byte`."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter

import trio
import trio.testing

from tests.faults.conversations import CONVERSATIONS, Conversation
from tests.faults.sweep import Sweep, cases
from tests.faults.world import Broken, World, world
from trio_pool.embedded import LocalServer, local_postgres

SAMPLE_STRIDE = 61


def main() -> int:
    """Run the sweep; returns the exit status: 1 when anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--every-byte", action="store_true", help="leave no byte out")
    parser.add_argument("--stride", type=int, default=SAMPLE_STRIDE, help="take every nth byte")
    parser.add_argument("--only", default="", help="conversations with these words in their title")
    parser.add_argument("--skip", type=int, default=0, help="leave the first conversations out")
    options = parser.parse_args()
    logging.getLogger("trio_pool").propagate = False
    stride = 1 if options.every_byte else options.stride
    chosen = [talk for talk in CONVERSATIONS[options.skip :] if options.only in talk.title]
    clock = trio.testing.MockClock(rate=1.0)
    # Why without passwords: there are some ten thousand logins.
    with local_postgres(auth="trust") as postgres:
        found: int = trio.run(_sweep, postgres, clock, chosen, stride, clock=clock)
    return 1 if found else 0


async def _sweep(
    postgres: LocalServer,
    clock: trio.testing.MockClock,
    chosen: list[Conversation],
    stride: int,
) -> int:
    began, found = time.monotonic(), 0
    total: Counter[str] = Counter()
    for talk in chosen:
        counts: Counter[str] = Counter()
        # Why each in its own: what one has found broken must not be found again by the next.
        async with world(postgres, clock) as there:
            found += await _one(there, talk, stride, counts)
        total += counts
        print(f"{talk.title}: {counts['struck']} faults in {counts['runs']} runs", flush=True)
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(total.items()) if kind not in COUNTS)
    seconds = time.monotonic() - began
    print(
        f"{len(chosen)} conversations, {total['runs']} runs, {total['struck']} faults ({kinds}):"
        f" {found} findings, {seconds:.0f} s"
    )
    return found


COUNTS = ("runs", "struck")


async def _one(there: World, talk: Conversation, stride: int, counts: Counter[str]) -> int:
    sweep = Sweep(there, talk)
    found = 0
    for case in cases(await sweep.undisturbed(), stride):
        counts["runs"] += 1
        try:
            struck = await sweep.run(case)
        except* Broken as broken:
            what = broken.exceptions[0]
            print(f"FOUND {talk.title!r}: {case}: {what}", file=sys.stderr, flush=True)
            found += 1
        if found:
            break
        counts["struck"] += struck
        counts[case.fault.value] += struck
    return found


if __name__ == "__main__":
    sys.exit(main())
