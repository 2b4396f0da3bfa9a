"""`trio-pool conform`: from two URLs to a report and an exit status.

0: nothing differed. 1: something did. 2: it could not be tried, and why.
"""

from __future__ import annotations

import sys
from random import Random
from typing import Final

import attrs
import trio

from trio_pool.command import explained, leaves
from trio_pool.config import ConfigError, parse_url
from trio_pool.conform import world
from trio_pool.conform.campaign import DEFAULT, QUICK, THOROUGH, Campaign, Level, a_seed
from trio_pool.conform.client import Client, QueryFailed, Refused, encryption_for
from trio_pool.conform.lanes import explore, more_lanes
from trio_pool.conform.report import Report, as_json, as_table
from trio_pool.conform.scripts.catalogue import SCRIPTS
from trio_pool.proof import Door

LEVELS: Final = {level.name: level for level in (QUICK, DEFAULT, THOROUGH)}
# Longer than any lock is waited for.
ADMIN_PATIENCE_SECONDS: Final = 20.0
# How much of the time recorded scripts may take.
RECORDED_SHARE: Final = 0.6
_EXPECTED = (Refused, QueryFailed, world.NotOurs, OSError)


@attrs.frozen(kw_only=True)
class Options:
    """What the command line asked for; None where it asked for nothing."""

    direct: str = attrs.field(repr=False)
    via: str = attrs.field(repr=False)
    level: str = DEFAULT.name
    json: bool = False
    recorded: bool = False
    random: bool = False
    only: str = ""
    seed: int | None = None
    examples: int | None = None
    lanes: int | None = None


def run(options: Options) -> int:
    """Try it and print what came out; returns the exit status."""
    try:
        report = trio.run(_run, options)
    except (ConfigError, *_EXPECTED) as error:
        return _failed(_in_words(error))
    except BaseExceptionGroup as group:
        expected, bug = group.split(_EXPECTED)
        if bug is not None or expected is None:
            raise
        return _failed(_in_words(next(leaves(expected))))
    except KeyboardInterrupt:
        return 2
    print(as_json(report) if options.json else as_table(report))
    return 0 if report.holds else 1


async def _run(options: Options) -> Report:
    direct, via = door_of(options.direct), door_of(options.via)
    level = LEVELS[options.level]
    seed = a_seed() if options.seed is None else options.seed
    report = Report(_place(direct), _place(via), level.name, seed)
    began = trio.current_time()
    admin = await Client.open(direct, patience=ADMIN_PATIENCE_SECONDS)
    try:
        await world.take_over(admin)
        campaign = Campaign(direct, via, admin, report, began + level.seconds)
        await campaign.begin()
        await _play(campaign, level, options)
        await campaign.close()
    finally:
        admin.close()
    report.seconds = trio.current_time() - began
    return report


async def _play(campaign: Campaign, level: Level, options: Options) -> None:
    scripts = [script for script in SCRIPTS if options.only in script.title]
    # Another order each time, so that short runs on slow machines do not always play the same.
    Random(campaign.report.seed).shuffle(scripts)
    now = trio.current_time()
    until = now + (campaign.deadline - now) * (1.0 if options.recorded else RECORDED_SHARE)
    for mode in () if options.random else level.modes:
        _tell(f"recorded scripts, {mode}")
        await campaign.play_recorded(scripts, mode, until)
    if options.recorded:
        return
    examples = level.examples if options.examples is None else options.examples
    lanes = level.lanes if options.lanes is None else options.lanes
    known: set[str] = set()
    async with more_lanes(campaign, lanes) as campaigns:
        for turn in range(level.seeds):
            _tell(f"random scripts, seed {campaign.report.seed + turn}, {len(campaigns)} lanes")
            await explore(campaigns, campaign.report.seed + turn, examples // level.seeds, known)


def door_of(url: str) -> Door:
    """Where a URL leads to. Raises ConfigError.

    Without an sslmode nothing is encrypted: what is compared must not depend on what is offered.
    """
    parts = parse_url(url)
    encryption_for(
        parts.parameters.get("sslmode", "disable"), parts.parameters.get("sslrootcert", "")
    )
    user = parts.user or "postgres"
    return Door(
        host=parts.host,
        port=parts.port,
        user=user,
        password=parts.password,
        database=parts.dbname or user,
        sslmode=parts.parameters.get("sslmode", "disable"),
        sslrootcert=parts.parameters.get("sslrootcert", ""),
    )


def _place(door: Door) -> str:
    return f"{door.user}@{door.host}:{door.port}/{door.database}"


def _in_words(error: BaseException) -> str:
    match error:
        case world.NotOurs():
            return (
                f"the database {error} is not empty, and scripts drop its tables\n"
                f"  make one for them: createdb conform, and name it in both URLs"
            )
        case Refused():
            return f"cannot log in: {error}"
        case _:
            return explained(error)


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        print(f"conform: {line}", file=sys.stderr)


def _failed(reason: str) -> int:
    print(f"trio-pool conform: {reason}", file=sys.stderr)
    return 2
