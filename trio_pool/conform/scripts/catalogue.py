"""All scripts, by group."""

from __future__ import annotations

from typing import Final

from trio_pool.conform.script import Script
from trio_pool.conform.scripts import (
    copies,
    corners,
    deallocation,
    departures,
    environments,
    evictions,
    extended,
    names,
    pipelines,
    plans,
    portals,
    sessions,
    settings,
    simple_sql,
    transactions,
    unnamed,
)

GROUPS: Final[dict[str, tuple[Script, ...]]] = {
    "extended": extended.SCRIPTS,
    "unnamed": unnamed.SCRIPTS,
    "simple_sql": simple_sql.SCRIPTS,
    "deallocation": deallocation.SCRIPTS,
    "pipelines": pipelines.SCRIPTS,
    "portals": portals.SCRIPTS,
    "copies": copies.SCRIPTS,
    "corners": corners.SCRIPTS,
    "plans": plans.SCRIPTS,
    "names": names.SCRIPTS,
    "transactions": transactions.SCRIPTS,
    "environments": environments.SCRIPTS,
    "settings": settings.SCRIPTS,
    "sessions": sessions.SCRIPTS,
    "departures": departures.SCRIPTS,
    "evictions": evictions.SCRIPTS,
}

SCRIPTS: Final = tuple(script for group in GROUPS.values() for script in group)


def by_case() -> dict[int, list[str]]:
    """The titles of the scripts that stand for each hard case."""
    table: dict[int, list[str]] = {}
    for script in SCRIPTS:
        for case in script.cases:
            table.setdefault(case, []).append(script.title)
    return dict(sorted(table.items()))


def by_scenario() -> dict[int, list[str]]:
    """The titles of the scripts that stand for each acceptance scenario."""
    table: dict[int, list[str]] = {}
    for script in SCRIPTS:
        for scenario in script.scenarios:
            table.setdefault(scenario, []).append(script.title)
    return dict(sorted(table.items()))
