"""Random scripts on several lanes at once: campaigns of their own, in databases of their own.

What one script does to the tables must not meet another's, so each lane has a database beside
the one that was named. A pooler that does not serve them leaves everything to the first lane.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import attrs
import trio

from trio_pool.conform import world
from trio_pool.conform.campaign import Campaign
from trio_pool.conform.client import Client, QueryFailed, Refused
from trio_pool.conform.exploration import Exploration

# How far the seeds of two lanes are apart: each counts on from its own.
_APART: Final = 1_000_003


async def explore(campaigns: list[Campaign], seed: int, examples: int, known: set[str]) -> None:
    """Play so many random scripts, on all lanes together, from this seed."""
    async with trio.open_nursery() as nursery:
        for lane, campaign in enumerate(campaigns):
            share = examples // len(campaigns) + (lane < examples % len(campaigns))
            exploration = Exploration(campaign, share, known)
            nursery.start_soon(exploration.explore, seed + lane * _APART)


@contextlib.asynccontextmanager
async def more_lanes(first: Campaign, count: int) -> AsyncIterator[list[Campaign]]:
    """The first campaign, and others beside it. Raises QueryFailed, NotOurs."""
    lanes = [first]
    try:
        for number in range(1, count):
            lane = await _lane(first, number)
            if lane is None:
                break
            lanes.append(lane)
        yield lanes
    finally:
        with trio.CancelScope(shield=True):
            for lane in lanes[1:]:
                await _close(first, lane)


async def _lane(first: Campaign, number: int) -> Campaign | None:
    name = f"{first.direct.database}_lane_{number}"
    await world.create_database(first.admin, name)
    direct = attrs.evolve(first.direct, database=name)
    via = attrs.evolve(first.via, database=name)
    admin = await Client.open(direct, patience=first.admin.patience)
    await world.take_over(admin)
    lane = Campaign(direct, via, admin, first.report, first.deadline)
    try:
        await lane.begin()
    except Refused:
        await _close(first, lane)
        return None
    return lane


async def _close(first: Campaign, lane: Campaign) -> None:
    await lane.close()
    lane.admin.close()
    with contextlib.suppress(QueryFailed):
        # Limit: servers older than 13 keep it.
        await first.admin.rows(f'drop database "{lane.direct.database}" with (force)')
