"""`python -m tests.mutations`: put each fault into a copy of the tree, and see who notices.

A fault that nobody notices is a hole in the tests. `--only WORDS` takes those with these words in
their title.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.mutations.catalogue import MUTATIONS, Mutation

ROOT: Final = Path(__file__).resolve().parents[2]
# Limit: tests that take longer have not said anything; choose others.
_SECONDS_MAX: Final = 300
# Why: a counterexample is enough here, a small one would take minutes.
_NO_SHRINKING: Final = """
from hypothesis import Phase, settings
settings.register_profile("mutations", phases=(Phase.explicit, Phase.generate), max_examples=400)
settings.load_profile("mutations")
"""
# What pytest ends with when tests failed.
_FAILED: Final = 1


def main() -> int:
    """Run them; returns the exit status: 1 when a fault was not noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    chosen = [mutation for mutation in MUTATIONS if options.only in mutation.title]
    missed = 0
    with tempfile.TemporaryDirectory(prefix="trio-pool-mutations-") as place:
        tree = Path(place) / "tree"
        _copy(tree)
        for mutation in chosen:
            began = time.monotonic()
            noticed = _noticed(tree, mutation)
            missed += not noticed
            outcome = "noticed" if noticed else "MISSED"
            print(f"{outcome:8} {time.monotonic() - began:4.0f} s  {mutation.title}", flush=True)
    print(f"{len(chosen)} faults, {len(chosen) - missed} noticed")
    return 1 if missed else 0


def _copy(tree: Path) -> None:
    """What Git knows of, sources only."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    for name in names.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    with (tree / "tests" / "conftest.py").open("a") as conftest:
        conftest.write(_NO_SHRINKING)


def _noticed(tree: Path, mutation: Mutation) -> bool:
    """Put the fault in, run its tests, take it out again."""
    path = tree / mutation.file
    source = path.read_text()
    assert source.count(mutation.old) == 1, f"{mutation.title}: the text does not occur once"
    path.write_text(source.replace(mutation.old, mutation.new))
    # Why -s off and no cache: what one run remembers must not steer the next.
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TRIO_POOL_EXPECT")}
    environment["PYTHONPATH"] = str(tree)
    try:
        done = subprocess.run(
            [*command, *mutation.tests],
            cwd=tree,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    finally:
        path.write_text(source)
    if done.returncode not in (0, _FAILED):
        print(done.stdout[-2000:], file=sys.stderr)
        raise SystemExit(f"{mutation.title}: pytest ended with {done.returncode}")
    return done.returncode == _FAILED


if __name__ == "__main__":
    sys.exit(main())
