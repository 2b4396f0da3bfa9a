"""What was measured, for people (a table) and for programs (JSON)."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import attrs

from tests.benchmarks.bench import Bench
from tests.benchmarks.bounds import Verdict, judge
from tests.benchmarks.contest import Entry, Outcome
from tests.benchmarks.figures import KINDS, Figures, Kind
from tests.benchmarks.poolers import Side, form_of

_NAME_WIDTH: Final = 26
_WIDTH: Final = 12
_REASON_CHARACTERS_MAX: Final = 240

JSON = dict[str, "JSON"] | list["JSON"] | str | float | int | bool | None


def verdicts(outcome: Outcome, form: str) -> Iterator[tuple[str, Verdict]]:
    """Every judgement on our side, with the peer it was measured against."""
    load, ours = outcome.load, outcome.ours
    peers = [peer for peer in outcome.entries[1:] if peer.rounds and peer.judged]
    absolute_told = False
    for peer in peers or [Entry("nobody")]:
        for verdict in judge(
            load.workload, load.variant, form, ours.figures, outcome.ratio_to(peer)
        ):
            if verdict.bound.absolute and absolute_told:
                continue
            absolute_told = absolute_told or verdict.bound.absolute
            yield peer.side, verdict


def table(outcome: Outcome, form: str) -> str:
    """One load: a line for each side, one for each ratio, one for each bound."""
    load = outcome.load
    names = [name for name in KINDS if any(name in e.figures for e in outcome.entries)]
    lines = [f"{load.workload}, {load.variant} (per {load.unit})"]
    lines.append(_line("", [_kind(name, load.unit).heading for name in names]))
    for entry in outcome.entries:
        label = f"  {entry.side}{f' ({entry.note})' if entry.note else ''}"
        if entry.absent:
            lines.append(f"{label}: {entry.absent[:_REASON_CHARACTERS_MAX]}")
        else:
            lines.append(_line(label, [_figure(name, entry.figures, load.unit) for name in names]))
    for peer in outcome.entries[1:]:
        ratio = outcome.ratio_to(peer)
        if ratio:
            lines.append(_line(f"  ratio to {peer.side}", [_ratio(name, ratio) for name in names]))
    lines += [f"  {_judgement(peer, verdict)}" for peer, verdict in verdicts(outcome, form)]
    return "\n".join(lines) + "\n"


def _line(label: str, cells: Sequence[str]) -> str:
    return f"{label:<{_NAME_WIDTH}}" + "".join(f"{cell:>{_WIDTH}}" for cell in cells)


def _kind(name: str, unit: str) -> Kind:
    """How a figure is written for this unit: a gigabyte's time is milliseconds."""
    kind = KINDS[name]
    if unit != "GB" or not name.endswith("_us_per_unit"):
        return kind
    return attrs.evolve(kind, heading=kind.heading.replace("µs", "ms"), divisor=1e3)


def _figure(name: str, figures: Figures, unit: str) -> str:
    kind = _kind(name, unit)
    return f"{figures[name] / kind.divisor:,.{kind.digits}f}" if name in figures else "-"


def _ratio(name: str, ratio: Figures) -> str:
    return f"{ratio[name]:.2f}" if name in ratio else "-"


def _judgement(peer: str, verdict: Verdict) -> str:
    bound = verdict.bound
    kind = KINDS[bound.figure]
    divisor = kind.divisor if bound.absolute else 1.0
    value, limit, goal = (x / divisor for x in (verdict.value, bound.limit, bound.goal))
    heading = kind.heading.removesuffix(" µs")
    what = heading if bound.absolute else f"{heading}, ratio to {peer}"
    side = "at least" if bound.at_least else "at most"
    met = "met" if verdict.met else "NOT MET"
    best = ", goal met" if verdict.goal_met else ""
    return f"{what}: {value:.2f}, {side} {limit:.2f} (goal {goal:.2f}): {met}{best}"


def results(
    bench: Bench, sides: Sequence[Side], outcomes: Sequence[Outcome], rounds: int
) -> dict[str, JSON]:
    """Everything: every round of every side, medians, ratios, bounds, and where it ran."""
    form = form_of(sides[0])
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": platform.platform(),
            "processors": os.cpu_count(),
            "python": sys.version.split()[0],
        },
        "rounds": rounds,
        "scale": {name: _json(value) for name, value in attrs.asdict(bench.scale).items()},
        "form": form,
        "sides": [{"name": side.name, "version": side.version} for side in sides],
        "loads": [_outcome(outcome, form) for outcome in outcomes],
    }


def _json(value: object) -> JSON:
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    return value if isinstance(value, str | float | int) else str(value)


def _outcome(outcome: Outcome, form: str) -> JSON:
    peers = [entry for entry in outcome.entries[1:] if entry.rounds]
    return {
        "workload": outcome.load.workload,
        "variant": outcome.load.variant,
        "unit": outcome.load.unit,
        "sides": {entry.side: _entry(entry) for entry in outcome.entries},
        "ratios": {peer.side: dict(outcome.ratio_to(peer)) for peer in peers},
        "bounds": [
            {
                "figure": verdict.bound.figure,
                "peer": None if verdict.bound.absolute else peer,
                "value": verdict.value,
                "limit": verdict.bound.limit,
                "goal": verdict.bound.goal,
                "at_least": verdict.bound.at_least,
                "met": verdict.met,
                "goal_met": verdict.goal_met,
            }
            for peer, verdict in verdicts(outcome, form)
        ],
    }


def _entry(entry: Entry) -> JSON:
    return {
        "note": entry.note,
        "absent": entry.absent,
        "median": dict(entry.figures),
        "rounds": [dict(figures) for figures in entry.rounds],
    }


def write_results(directory: Path, found: dict[str, JSON]) -> Path:
    """Write results.json; its path."""
    path = directory / "results.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    return path
