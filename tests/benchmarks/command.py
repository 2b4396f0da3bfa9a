"""Run the contest, show it, write it down: what `python -m tests.benchmarks` does.

The exit status is 0 when everything was measured that could be, whatever the figures say, and 1
when nothing could be started.
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Sequence

from tests.benchmarks import plot, report
from tests.benchmarks.bench import LoadFailed, open_bench
from tests.benchmarks.contest import Outcome, compete, count_instructions
from tests.benchmarks.options import Options, parse
from tests.benchmarks.poolers import form_of
from tests.benchmarks.workloads import loads
from trio_pool.embedded import EmbeddedError


def main(words: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit status."""
    # Why: what was started must be ended, whoever ends us.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options = parse(words)
        _raise_descriptors()
        return _run(options)
    except (LoadFailed, EmbeddedError) as failure:
        print(f"benchmarks: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(options: Options) -> int:
    """Results are written after every load: a run that is broken off keeps what it has."""
    options.output.mkdir(parents=True, exist_ok=True)
    form = form_of(options.sides[0])
    outcomes: list[Outcome] = []
    for side in options.sides:
        print(f"{side.name}: {side.version}")
    print()
    with open_bench(options.scale, options.postgres) as bench:
        for load in loads(options.workloads, options.scale):
            outcomes.append(compete(bench, options.sides, load, options.rounds, _tell))
            if options.instructions:
                count_instructions(bench, options.sides, outcomes[-1], _tell)
            print(report.table(outcomes[-1], form), flush=True)
            found = report.results(bench, options.sides, outcomes, options.rounds)
            path = report.write_results(options.output, found)
    print(f"written: {path}")
    picture = options.output / "plot.png"
    if plot.draw(picture, outcomes):
        print(f"written: {picture}")
    else:
        print('no plot: matplotlib is not installed (pip install -e ".[bench]")')
    return 0


def _tell(what: str) -> None:
    """Progress, on a terminal only: the table is what a file wants."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}\r", end="", file=sys.stderr, flush=True)


def _raise_descriptors() -> None:
    """As many as we may have; the poolers inherit that, and a crowd needs it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
