"""What one test has left behind at the pools.

Looked at after the test and its fixtures are done. What its clients said last may still be under
way then, so a leftover counts once it has stayed for a moment with nothing under way; what an
earlier test left, and was blamed for, does not count again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final

from trio_pool.dependence import Dependence, report
from trio_pool.leftovers import Leftover
from trio_pool.threaded import ThreadedPool

# How long a leftover must stay, seen so many times, with nothing under way that may end it.
_STAYS_SECONDS: Final = 0.4
_LOOKS_MIN: Final = 10
# How long is waited for what is under way.
_WAIT_SECONDS_MAX: Final = 20.0
_PAUSE_SECONDS: Final = 0.01

_Key = tuple[int, int, str]


class Watch:
    """Around one test: made before it, asked after it."""

    def __init__(self, pools: Iterable[ThreadedPool]) -> None:
        self._pools = pools
        self._before = set(self._found())
        self._known = self._depended()

    def _found(self) -> dict[_Key, Leftover]:
        return {
            (id(pool), left.client, left.kind): left
            for pool in list(self._pools)
            for left in pool.leftovers()
        }

    def _depended(self) -> dict[Dependence, int]:
        together: dict[Dependence, int] = {}
        for pool in list(self._pools):
            for one, count in pool.dependences().items():
                together[one] = together.get(one, 0) + count
        return together

    def dependences(self) -> dict[Dependence, int]:
        """What the test depended on, and how often; waits until all answers are in."""
        deadline = time.monotonic() + _WAIT_SECONDS_MAX
        while any(pool.stats().unsettled for pool in list(self._pools)):
            if time.monotonic() > deadline:
                break
            time.sleep(_PAUSE_SECONDS)
        known = self._known
        return {
            one: count - known.get(one, 0)
            for one, count in self._depended().items()
            if count > known.get(one, 0)
        }

    def leftovers(self) -> list[Leftover]:
        """What the test has left; takes a moment only if there is something."""
        began = since = time.monotonic()
        looks = 0
        while True:
            new = [left for key, left in self._found().items() if key not in self._before]
            now = time.monotonic()
            looks += 1
            if not all(left.settled for left in new) and now - began < _WAIT_SECONDS_MAX:
                since, looks = now, 0
            elif not new or (now - since > _STAYS_SECONDS and looks > _LOOKS_MIN):
                return new
            time.sleep(_PAUSE_SECONDS)


def of_leftovers(left: Iterable[Leftover]) -> str:
    """The leftovers for a person, one in a line."""
    lines = ["this test left something behind at trio_pool:"]
    for one in left:
        said = f": {one.statement}" if one.statement else ""
        lines.append(f"  {one.kind}, user {one.user}, database {one.database}{said}")
    lines.append("Close the client, end its transaction, or take back what it has made.")
    return "\n".join(lines)


def of_dependences(found: Mapping[Dependence, int]) -> str:
    """The dependences for a person."""
    return "this test depended on session state, which poolers do not keep:\n" + report(found)
