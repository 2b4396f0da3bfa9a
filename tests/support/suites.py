"""Test suites of users, written to a directory and run by a pytest of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

_COUNTS = re.compile(r"(\d+) (passed|failed|errors?|skipped)\b")
_INI = """
[pytest]
filterwarnings = error
"""


@attrs.frozen
class Outcome:
    """How a run ended: its exit status, what it printed, and how many tests did what."""

    status: int
    said: str
    counts: Mapping[str, int]


def run_suite(
    place: Path,
    files: Mapping[str, str],
    *options: str,
    plugins: Sequence[str] | None = ("trio_pool.pytest_plugin",),
    environment: Mapping[str, str] = {},
) -> Outcome:
    """Write the files (and a pytest.ini of ours, unless there is one) and run them.

    `plugins` are loaded and no others; None: all that are installed, as in a user's environment,
    which takes pytest a second longer to start.
    """
    for name, text in {"pytest.ini": _INI, **files}.items():
        (place / name).write_text(text)
    # What our own run was told is none of the suite's business.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "TRIO_POOL_TEST", "PG", "DOCKER_", "COVERAGE_"))
    }
    if plugins is not None:
        kept["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    chosen = [word for name in plugins or () for word in ("-p", name)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *chosen, *options],
        cwd=place,
        env={**kept, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    last = done.stdout.rstrip().rpartition("\n")[2]
    counts = {kind.removesuffix("s"): int(count) for count, kind in _COUNTS.findall(last)}
    return Outcome(done.returncode, done.stdout + done.stderr, counts)
