"""PgBouncer's ini dialect, line by line.

Reads sections and `key = value` lines and nothing else: what a key means is decided elsewhere.
A value is the rest of its line, so `;` and `#` start a comment only at the start of a line.
`%include FILE` is read in place; a relative name is relative to the working directory, as in
PgBouncer. Every complaint carries its file and line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import attrs

from trio_pool.config.errors import ConfigError, nearest

SECTIONS: Final = ("pgbouncer", "databases", "users", "peers")
# Limit: PgBouncer stops at the same depth (libusual, cfparser.c).
INCLUDE_DEPTH_MAX: Final = 10

_SECTION = re.compile(r"\[\s*(?P<name>[^\]]*?)\s*\]$")
_INCLUDE = re.compile(r"%include\s+(?P<file>\S.*)$")
# A database or user name may be quoted like an SQL identifier.
_PAIR = re.compile(r'(?P<key>"(?:[^"]|"")*"|[^\s="]+)\s*=\s*(?P<value>.*)$')

Reader = Callable[[Path], str]


@attrs.frozen
class Entry:
    """One `key = value` line. The value is hidden in the repr: it may hold a password."""

    section: str
    key: str
    value: str = attrs.field(repr=False)
    path: Path
    line: int


def read_ini(path: Path, read: Reader) -> Iterator[Entry]:
    """The entries of a file and of all it includes, in order. Raises ConfigError."""
    section: str | None = None
    for entry in _lines(path, read, ()):
        if isinstance(entry, str):
            section = entry
        elif section is None:
            raise ConfigError(
                f"{entry.key} stands before any section",
                entry.path,
                entry.line,
                "start the file with [pgbouncer] or [databases]",
            )
        else:
            yield attrs.evolve(entry, section=section)


def _lines(path: Path, read: Reader, above: tuple[Path, ...]) -> Iterator[str | Entry]:
    """Section names and entries; a section that starts in an included file lasts after it."""
    if path in above:
        raise ConfigError(f"{path} includes itself", above[-1], hint="remove one %include")
    if len(above) > INCLUDE_DEPTH_MAX:
        raise ConfigError(f"%include is nested deeper than {INCLUDE_DEPTH_MAX} files", above[-1])
    for number, raw in enumerate(read(path).splitlines(), start=1):
        line = raw.strip()
        if not line or line[0] in ";#":
            continue
        include = _INCLUDE.match(line)
        if include:
            yield from _included(Path(include["file"]), path, number, read, above)
        else:
            yield _section_or_entry(line, path, number)


def _included(
    file: Path, path: Path, number: int, read: Reader, above: tuple[Path, ...]
) -> Iterator[str | Entry]:
    try:
        yield from _lines(file, read, (*above, path))
    except ConfigError as error:
        raise error.at(path, number) from None


def _section_or_entry(line: str, path: Path, number: int) -> str | Entry:
    if line.startswith("["):
        return _section_name(line, path, number)
    pair = _PAIR.match(line)
    if pair is None:
        raise ConfigError("expected [section], key = value or %include FILE", path, number)
    return Entry("", _unquoted(pair["key"]), pair["value"], path, number)


def _section_name(line: str, path: Path, number: int) -> str:
    header = _SECTION.match(line)
    name = header["name"].lower() if header else line
    if name not in SECTIONS:
        hint = nearest(name, SECTIONS) or f"the sections are {', '.join(SECTIONS)}"
        raise ConfigError(f"unknown section {line}", path, number, hint)
    return name


def _unquoted(key: str) -> str:
    return key[1:-1].replace('""', '"') if key.startswith('"') else key
