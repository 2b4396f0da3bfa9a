"""Random scripts, and the smallest that shows the same for each that differs.

Once a difference is known, others of its kind are passed over, so that a run finds one small
script for each kind.
"""

from __future__ import annotations

import random
from typing import Final

import attrs
import trio

from trio_pool.conform.campaign import CLIENTS_MAX, ROTATION, Campaign
from trio_pool.conform.compare import Difference
from trio_pool.conform.random_world import random_script
from trio_pool.conform.script import Script
from trio_pool.conform.shrinking import smaller

KINDS_MAX: Final = 12
# Limits: what a pooler did once and not again is a finding, too, but cannot be made smaller; and
# where the difference is silence, each attempt takes as long as one waits for an answer.
_ATTEMPTS_MAX: Final = 100
_SECONDS_MAX: Final = 60.0
_MODES: Final = (ROTATION, ROTATION, "both", "trickle", "noise")


@attrs.define(eq=False)
class Exploration:
    """Random scripts until all are played, or too many kinds of differences are known."""

    campaign: Campaign
    examples: int
    # Kinds of differences that are reported already, shared by all lanes.
    _known: set[str]

    async def explore(self, seed: int) -> None:
        """Play `examples` random scripts, which this seed determines."""
        choices = random.Random(seed)
        clients = max(1, min(CLIENTS_MAX, self.campaign.backends // 2))
        for _ in range(self.examples):
            if self._over:
                return
            script = random_script(choices, choices.randint(1, clients))
            found = await self._compare(script, choices.choice(_MODES))
            if found is not None and found.kind not in self._known:
                self._known.add(found.kind)
                self.campaign.report.differences.append(await self._smallest(found))

    @property
    def _over(self) -> bool:
        return self.campaign.out_of_time or len(self._known) >= KINDS_MAX

    async def _smallest(self, found: Difference) -> Difference:
        """The same kind of difference in as small a script as can be found."""
        attempts = iter(range(_ATTEMPTS_MAX))
        until = min(trio.current_time() + _SECONDS_MAX, self.campaign.deadline)
        while True:
            for script in smaller(found.script):
                if trio.current_time() > until or next(attempts, None) is None:
                    return found
                less = await self._compare(script, found.mode)
                if less is not None and less.kind == found.kind:
                    found = less
                    break
            else:
                return found

    async def _compare(self, script: Script, mode: str) -> Difference | None:
        script = attrs.evolve(script, at_once=clients_of(script))
        found = await self.campaign.compare(script, mode)
        played = self.campaign.report.played
        played["random"] = played.get("random", 0) + 1
        return found


def clients_of(script: Script) -> int:
    """How many clients speak in it, each of which may hold a backend."""
    return len({step.client for step in script.steps if hasattr(step, "client")})
