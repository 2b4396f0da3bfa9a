"""Random scripts: Hypothesis makes and shrinks them, in a thread; Trio plays them.

Once a difference is known, others of its kind are passed over, so that a run finds one small
script for each kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
import trio
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from trio_pool.conform.campaign import CLIENTS_MAX, ROTATION, Campaign
from trio_pool.conform.compare import Difference
from trio_pool.conform.random_world import random_scripts
from trio_pool.conform.script import Script

KINDS_MAX: Final = 12
_MODES: Final = (ROTATION, ROTATION, "both", "trickle", "noise")


class _Found(Exception):
    """Raised for Hypothesis, which then looks for a smaller one."""


@attrs.define(eq=False)
class Exploration:
    """Rounds of random scripts, until all are played or too many kinds are known."""

    campaign: Campaign
    examples: int
    # Kinds of differences that are reported already, shared by all lanes.
    _known: set[str]
    _smallest: Difference | None = attrs.field(init=False, default=None)
    _left: int = attrs.field(init=False, default=0)

    async def explore(self, number: int) -> None:
        """Play `examples` random scripts, beginning from this seed."""
        await trio.to_thread.run_sync(self._explore, number)

    def _explore(self, number: int) -> None:
        self._left = self.examples
        while self._left > 0 and not self._over:
            self._smallest = None
            try:
                seed(number)(self._round())()
            except (_Found, Flaky):
                # Why both: what a pooler did once and not again is a finding, too.
                self._keep()
            number += 1

    @property
    def _over(self) -> bool:
        over = trio.from_thread.run_sync(lambda: self.campaign.out_of_time)
        return over or len(self._known) >= KINDS_MAX

    def _keep(self) -> None:
        found = self._smallest
        if found is not None:
            self._known.add(found.kind)
            self.campaign.report.differences.append(found)

    def _round(self) -> Callable[[], None]:
        clients = max(1, min(CLIENTS_MAX, self.campaign.backends // 2))
        counts = st.integers(1, clients)

        @settings(
            max_examples=self._left,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(counts.flatmap(random_scripts), st.sampled_from(_MODES))
        def test(script: Script, mode: str) -> None:
            self._try(attrs.evolve(script, at_once=clients_of(script)), mode)

        return test

    def _try(self, script: Script, mode: str) -> None:
        if self._over:
            return
        self._left -= 1
        difference = trio.from_thread.run(self.campaign.compare, script, mode)
        trio.from_thread.run_sync(self._count)
        if difference is None or difference.kind in self._known:
            return
        if self._smallest is not None and difference.kind != self._smallest.kind:
            return
        self._smallest = difference
        raise _Found(difference.kind)

    def _count(self) -> None:
        played = self.campaign.report.played
        played["random"] = played.get("random", 0) + 1


def clients_of(script: Script) -> int:
    """How many clients speak in it, each of which may hold a backend."""
    return len({step.client for step in script.steps if hasattr(step, "client")})
