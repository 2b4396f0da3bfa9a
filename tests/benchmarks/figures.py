"""Figures: their names and units, and how many rounds become one number.

A figure's name ends in its unit. What happens per unit of work says `per_unit`, because a unit
is a transaction for one load, a login for another and a gigabyte (10^9 bytes) for a third.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from tests.benchmarks.accounting import Usage

Figures = dict[str, float]


@attrs.frozen
class Kind:
    """How one figure is written: its heading, its format and what it is divided by for that."""

    heading: str
    digits: int
    divisor: float = 1.0


KINDS: Final[Mapping[str, Kind]] = {
    "units_per_second": Kind("per second", 2),
    "p50_ms": Kind("p50 ms", 3),
    "p95_ms": Kind("p95 ms", 3),
    "p99_ms": Kind("p99 ms", 3),
    "max_ms": Kind("max ms", 1),
    "user_us_per_unit": Kind("user µs", 1),
    "system_us_per_unit": Kind("system µs", 1),
    "cpu_us_per_unit": Kind("CPU µs", 1),
    "instructions_per_unit": Kind("instr.", 0),
    "peak_bytes": Kind("peak MB", 1, 1e6),
    "bytes_per_client": Kind("kB/client", 2, 1e3),
}


def work(units: float, seconds: float, used: Usage) -> Figures:
    """The figures of `units` done in `seconds` for this much of the pooler's time."""
    return {
        "units_per_second": units / seconds,
        "user_us_per_unit": used.user * 1e6 / units,
        "system_us_per_unit": used.system * 1e6 / units,
        "cpu_us_per_unit": used.total * 1e6 / units,
    }


def latencies(seconds: Sequence[float]) -> Figures:
    """Percentiles of how long each transaction took; `seconds` need not be sorted."""
    ordered = sorted(seconds)
    return {
        "p50_ms": percentile(ordered, 50) * 1e3,
        "p95_ms": percentile(ordered, 95) * 1e3,
        "p99_ms": percentile(ordered, 99) * 1e3,
    }


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all do not exceed (nearest rank)."""
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[max(0, rank - 1)]


def medians(rounds: Sequence[Figures]) -> Figures:
    """Each figure's median over the rounds that have it."""
    return {
        name: statistics.median(figures[name] for figures in rounds if name in figures)
        for name in KINDS
        if any(name in figures for figures in rounds)
    }


def ratios(ours: Sequence[Figures], peers: Sequence[Figures]) -> Figures:
    """Median over rounds of ours divided by the peer's of the same round.

    Why not the ratio of the medians: what slows the machine for a while slows both sides of a
    round, and is gone from their ratio.
    """
    paired = [
        {name: our[name] / peer[name] for name in our if peer.get(name)}
        for our, peer in zip(ours, peers, strict=False)
    ]
    return medians(paired)
