"""The figures as a picture: what each side spends per unit of work.

matplotlib comes with the extra `bench` and is imported here alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.contest import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANEL_INCHES: Final = (11.0, 3.4)
_GROUP: Final = 0.8
_CHARGE: Final = "cpu_us_per_unit"


def draw(path: Path, outcomes: Sequence[Outcome]) -> bool:
    """Write a PNG with one panel per unit of work; False when matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return False
    charged = [o for o in outcomes if any(_CHARGE in entry.figures for entry in o.entries)]
    units = list(dict.fromkeys(outcome.load.unit for outcome in charged))
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width, height * max(1, len(units))), layout="constrained")
    for number, unit in enumerate(units):
        axes = figure.add_subplot(len(units), 1, number + 1)
        _draw_panel(axes, unit, [outcome for outcome in charged if outcome.load.unit == unit])
    figure.savefig(path, dpi=110)
    return True


def _draw_panel(axes: Axes, unit: str, outcomes: Sequence[Outcome]) -> None:
    """A group of bars per load, a bar per side: system time at the bottom, user time on it."""
    sides = [entry.side for entry in outcomes[0].entries]
    width = _GROUP / len(sides)
    for place, side in enumerate(sides):
        spent = [outcome.entries[place].figures for outcome in outcomes]
        system = [figures.get("system_us_per_unit", 0.0) for figures in spent]
        user = [figures.get("user_us_per_unit", 0.0) for figures in spent]
        at = [number + (place - (len(sides) - 1) / 2) * width for number in range(len(spent))]
        color = f"C{place}"
        axes.bar(at, system, width, color=color, alpha=0.55, label=f"{side}: system")
        axes.bar(at, user, width, bottom=system, color=color, label=f"{side}: user")
    names = [f"{outcome.load.workload}\n{outcome.load.variant}" for outcome in outcomes]
    axes.set_xticks(range(len(names)), names, fontsize=7)
    axes.set_ylabel(f"CPU µs per {unit}")
    axes.legend(fontsize=7)
