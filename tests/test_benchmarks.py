"""The benchmarks can still be run, and tell all they promise.

What the figures *are* is not a test's affair; `tests/benchmarks/README.md` is about that.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.accounting import Usage
from tests.benchmarks.bounds import judge
from tests.benchmarks.figures import percentile, ratios, work

ROOT = Path(__file__).parent.parent
FIGURES = {
    "units_per_second",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "user_us_per_unit",
    "system_us_per_unit",
    "cpu_us_per_unit",
    "peak_bytes",
}


@pytest.mark.postgres
@pytest.mark.slow
def test_a_run_tells_every_figure(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "--alone", "--workloads", "simple"]
    command += ["--clients", "2", "--rounds", "1", "--seconds", "1", "--output", str(tmp_path)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    (load,) = json.loads((tmp_path / "results.json").read_text())["loads"]
    ours = load["sides"]["trio-pool"]
    assert ours["absent"] == ""
    assert {name for name, value in ours["median"].items() if value > 0} >= FIGURES
    assert "simple, 2 clients (per transaction)" in done.stdout


def test_a_ratio_is_taken_within_a_round() -> None:
    """The machine was four times slower in the second round: nothing of it is left."""
    ours = [{"cpu_us_per_unit": 20.0}, {"cpu_us_per_unit": 80.0}, {"cpu_us_per_unit": 20.0}]
    peers = [{"cpu_us_per_unit": 10.0}, {"cpu_us_per_unit": 40.0}, {"cpu_us_per_unit": 10.0}]

    assert ratios(ours, peers) == {"cpu_us_per_unit": 2.0}


def test_work_is_charged_per_unit() -> None:
    found = work(1000, 2.0, Usage(user_ticks=0.01, system_ticks=0.03, total=0.04))

    assert found["units_per_second"] == 500
    assert found["cpu_us_per_unit"] == pytest.approx(40)
    assert found["user_us_per_unit"] == pytest.approx(10)


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 99) == 4.0
    assert percentile([7.0], 1) == 7.0


def test_a_login_rate_is_bounded_from_below_and_a_cost_from_above() -> None:
    (slow,) = judge("churn-trust", "16 clients", "pure", {}, {"units_per_second": 0.4})
    (cheap,) = judge("simple", "16 clients", "pure", {}, {"cpu_us_per_unit": 1.5})

    assert not slow.met
    assert cheap.met and not cheap.goal_met
