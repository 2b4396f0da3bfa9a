"""Who carries which load when: A B A B, every side once per round.

The machine is shared and noisy; sides that take turns within a minute meet the same noise. A
side that cannot carry a load is not asked again; the table says why.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from typing import Final

import attrs
import psutil

from tests.benchmarks import instructions
from tests.benchmarks.bench import Bench, LoadFailed, NotOffered
from tests.benchmarks.figures import Figures, medians, ratios
from tests.benchmarks.poolers import Program, Side
from tests.benchmarks.workloads.load import Load

_CHANCES: Final = 2

Tell = Callable[[str], None]


@attrs.define
class Entry:
    """One side under one load: its rounds, or why it has none."""

    side: str
    judged: bool = False
    """Whether the project's bounds are about this peer: they are about PgBouncer."""
    note: str = ""
    absent: str = ""
    rounds: list[Figures] = attrs.field(factory=list)

    @property
    def figures(self) -> Figures:
        return medians(self.rounds)


@attrs.frozen
class Outcome:
    """One load and how every side carried it; ours comes first."""

    load: Load
    entries: tuple[Entry, ...]

    @property
    def ours(self) -> Entry:
        return self.entries[0]

    def ratio_to(self, peer: Entry) -> Figures:
        """Ours divided by the peer's, figure by figure."""
        return ratios(self.ours.rounds, peer.rounds)


def compete(bench: Bench, sides: Sequence[Side], load: Load, rounds: int, tell: Tell) -> Outcome:
    """Put a load on every side, `rounds` times in turn."""
    entries = tuple(Entry(side.name, _is_pgbouncer(side)) for side in sides)
    for number in range(rounds):
        for side, entry in zip(sides, entries, strict=True):
            if not entry.absent:
                tell(f"{load.workload}, {load.variant}: round {number + 1}, {side.name}")
                _take_turn(bench, side, load, entry)
    return Outcome(load, entries)


def _take_turn(bench: Bench, side: Side, load: Load, entry: Entry) -> None:
    """A turn that fails gets a second chance: something else may have had the machine."""
    work, entry.note = load.for_side(side)
    for _ in range(_CHANCES):
        try:
            with side.open(bench, load.needs) as running:
                entry.rounds.append(work.measure(bench, running))
                return
        except NotOffered as failure:
            entry.absent = f"not offered: {_one_line(failure)}"
            return
        except (LoadFailed, psutil.NoSuchProcess, subprocess.TimeoutExpired) as failure:
            reason = f"failed: {_one_line(failure)}"
    # Why all of them: rounds are compared in pairs.
    entry.absent = reason
    entry.rounds.clear()


def _is_pgbouncer(side: Side) -> bool:
    return "pgbouncer" in f"{side.name} {side.version}".lower()


def _one_line(failure: Exception) -> str:
    return " ".join(str(failure).split())


def count_instructions(bench: Bench, sides: Sequence[Side], outcome: Outcome, tell: Tell) -> None:
    """Add instructions per transaction to every round: counted once, for they do not vary."""
    load = outcome.load
    for side, entry in zip(sides, outcome.entries, strict=True):
        repeat = load.for_side(side)[0].repeat
        if isinstance(side, Program) and repeat is not None and entry.rounds:
            tell(f"{load.workload}, {load.variant}: instructions, {side.name}")
            number = instructions.count(bench, side, load.needs, repeat)
            for figures in entry.rounds:
                figures["instructions_per_unit"] = number
