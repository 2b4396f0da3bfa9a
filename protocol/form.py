"""Which form of the code runs: compiled by mypyc, or the Python it was compiled from.

Both are one source and behave the same. With TRIO_POOL_PURE=1 in the environment the sources
run even where compiled modules lie beside them; it is read when `protocol` or `trio_pool` is
imported for the first time. `trio_pool` asks here, too, since both are compiled together.
"""

from __future__ import annotations

# Why nothing more: everybody imports this, also who only wants to read the help of a command.
import os
import sys
from collections.abc import Iterable
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from typing import Final

# Compiled whenever anything is.
_WITNESS: Final = "protocol.framing"
# Written by the build (.ci/build_hook.py): why it is not compiled, or IN_PLACE.
_RECORD: Final = os.path.join(os.path.dirname(__file__), "form.txt")
_IN_PLACE: Final = "in place"


def pure_wanted() -> bool:
    """Whether the environment asks for the sources."""
    return os.environ.get("TRIO_POOL_PURE", "") not in ("", "0")


def prefer_sources(folders: Iterable[str]) -> None:
    """Import what lies in and below `folders` from its source alone, if that is wanted."""
    if not pure_wanted():
        return
    tops = tuple(folders)

    def within(folder: str) -> bool:
        return any(folder == top or folder.startswith(top + os.sep) for top in tops)

    def finder(folder: str) -> FileFinder:
        if not within(folder):
            raise ImportError
        return FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES))

    sys.path_hooks.insert(0, finder)
    # The ordinary finder has been asked for this very module, and would be asked again.
    for folder in filter(within, [*sys.path_importer_cache]):
        del sys.path_importer_cache[folder]


def is_compiled() -> bool:
    """Whether the compiled modules are those that run."""
    import importlib.util

    spec = importlib.util.find_spec(_WITNESS)
    return spec is not None and _is_binary(spec.origin or "")


def description() -> str:
    """The form that runs, and why it is not the compiled one, for a person."""
    recorded = _recorded()
    if is_compiled():
        late = _newer_sources() if recorded == _IN_PLACE else []
        return f"compiled, but {', '.join(late)} changed since" if late else "compiled"
    if pure_wanted():
        return "pure Python: TRIO_POOL_PURE is set"
    return f"pure Python: {recorded or 'run from its sources'}"


def _is_binary(file: str) -> bool:
    return file.endswith(tuple(EXTENSION_SUFFIXES))


def _recorded() -> str:
    """What the build wrote down, if there was one."""
    try:
        with open(_RECORD) as record:
            return record.read().strip()
    except FileNotFoundError:
        return ""


def _newer_sources() -> list[str]:
    """Sources changed after they were compiled in place."""
    from pathlib import Path

    found = []
    top = Path(__file__).parent.parent
    for package in ("protocol", "trio_pool"):
        for source in sorted((top / package).rglob("*.py")):
            binary = source.with_suffix(EXTENSION_SUFFIXES[0])
            if binary.exists() and binary.stat().st_mtime < source.stat().st_mtime:
                found.append(source.relative_to(top).as_posix())
    return found
