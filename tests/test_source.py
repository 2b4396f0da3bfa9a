"""The tools that read the source agree with it; one `pytest` checks everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# What is imported by others, or is a program of its own, is typed without exception.
PROGRAMS = ("bank", "benchmarks", "faults", "mutations", "soak")
TYPED = ("protocol", "trio_pool", "fuzz", *(f"tests/{name}" for name in PROGRAMS))


def run(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)


def test_the_source_is_formatted() -> None:
    run("ruff", "format", "--check", ".")


def test_the_linter_finds_nothing() -> None:
    run("ruff", "check", ".")


def test_ci_runs_the_very_command_that_the_readme_gives() -> None:
    command = (ROOT / ".ci" / "run").read_text().splitlines()[-1]

    assert command.endswith("pytest")
    assert f"\n{command}\n" in (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_types_are_right() -> None:
    folders = [folder for folder in TYPED if any((ROOT / folder).glob("**/*.py"))]
    run("mypy", *folders, ".ci/build_hook.py")
