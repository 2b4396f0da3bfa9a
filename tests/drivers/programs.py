"""Drivers of other languages: small programs beside the tests, built once and run as they are.

A program is built in a copy of its folder, outside of the tree, under a name that contains the hash
of its sources: a second run of the tests builds nothing. It is told where to connect to by the
environment (DATABASE_URL, and ERRANDS for its table), prints `ok <scenario>` for each of its
scenarios that held, and ends with a non-zero exit status when one did not.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import attrs
import pytest

from tests.conftest import unavailable

# Watchdogs, not measurements. A first build downloads the driver and what it depends on.
BUILD_SECONDS = 900.0
RUN_SECONDS = 120.0

# Programs that are examples for our users, too.
EXAMPLES = Path(__file__).parent.parent.parent / "examples"

# What building leaves in a folder when somebody builds in the tree.
LEFTOVERS = ("node_modules", "target", "Cargo.lock", "package-lock.json")


@attrs.frozen
class Program:
    """How to build and start the program in `<under>/<folder>`; commands run in its copy."""

    folder: str
    tools: tuple[str, ...]
    build: tuple[tuple[str, ...], ...]
    command: tuple[str, ...]
    discard: tuple[str, ...] = ()
    # Why not in the repr: that is in the name of what is built, and where it came from is not.
    under: Path = attrs.field(default=Path(__file__).parent, repr=False)

    @property
    def sources(self) -> Path:
        return self.under / self.folder


def on_the_jvm(folder: str, main: str, under: Path = Path(__file__).parent) -> Program:
    """A program that Maven builds, with a `main` class."""
    copy = ("dependency:copy-dependencies", "-DoutputDirectory=target/lib")
    return Program(
        folder=folder,
        under=under,
        tools=("java", "mvn"),
        build=(("mvn", "-q", "-B", "package", *copy),),
        command=("java", "-XX:TieredStopAtLevel=1", "-cp", "target/classes:target/lib/*", main),
    )


def built(program: Program) -> Path:
    """The folder of the built program. Skips (in CI: fails) when a tool it needs is absent."""
    absent = [tool for tool in program.tools if shutil.which(tool) is None]
    if absent:
        unavailable(f"the {program.folder} driver test needs {' and '.join(absent)} on PATH")
    cache = _cache()
    ready = cache / f"{program.folder}-{_digest(program)}"
    if not ready.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as scratch:
            copy = Path(scratch) / program.folder
            shutil.copytree(program.sources, copy, ignore=shutil.ignore_patterns(*LEFTOVERS))
            _build(program, copy)
            # Hazard: a rename is what makes the build visible, and only a whole one.
            if not ready.exists():
                copy.rename(ready)
    return ready


def scenarios_that_held(program: Program, folder: Path, url: str, errands: str) -> list[str]:
    """Run the program to its end; fails with all it printed when it reports a failure."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment |= {"DATABASE_URL": url, "ERRANDS": errands}
    try:
        ended = subprocess.run(
            program.command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RUN_SECONDS,
        )
    except subprocess.TimeoutExpired as hanging:
        printed = hanging.stdout or b""
        said = printed if isinstance(printed, str) else printed.decode(errors="replace")
        pytest.fail(f"{program.folder} still waits for an answer. It said:\n{said}")
    if ended.returncode != 0:
        pytest.fail(f"{program.folder} ended with {ended.returncode}. It said:\n{ended.stdout}")
    lines = ended.stdout.splitlines()
    return [line.removeprefix("ok ") for line in lines if line.startswith("ok ")]


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "trio-pool-tests"


def _digest(program: Program) -> str:
    digest = hashlib.sha256(repr(program).encode())
    for path in sorted(program.sources.rglob("*")):
        inside = path.relative_to(program.sources)
        if path.is_file() and not set(inside.parts) & set(LEFTOVERS):
            digest.update(f"\0{inside}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _build(program: Program, folder: Path) -> None:
    for command in program.build:
        ended = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BUILD_SECONDS,
        )
        if ended.returncode != 0:
            pytest.fail(f"{' '.join(command)} failed in {program.folder}:\n{ended.stdout}")
    for path in program.discard:
        shutil.rmtree(folder / path)
