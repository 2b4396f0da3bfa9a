"""The lines of auth_hba_file and auth_ident_file.

PostgreSQL's pg_hba.conf as far as PgBouncer knows it: local, host, hostssl and hostnossl; lists,
`all`, `sameuser`, `replication`, `@file`; an address with a mask in either form; the methods in
METHODS with their options. Of PostgreSQL's own there are also `samehost` and `samenet`, and
`+group` and `samerole`, for which a server must be asked. What is not known is an error, for a
line that was passed over could let somebody in.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from trio_pool.config.errors import ConfigError, nearest
from trio_pool.config.hba import HbaRule, Names, Network
from trio_pool.config.ldap_options import NAMES as LDAP_NAMES
from trio_pool.config.ldap_options import ldap_options

METHODS: Final = (
    *("trust", "reject", "md5", "password", "scram-sha-256", "cert", "peer", "pam", "ldap"),
)
_KINDS: Final = ("local", "host", "hostssl", "hostnossl")
_DATABASE_KEYWORDS: Final = ("all", "sameuser", "samerole", "samegroup", "replication")
_NEAR: Final = ("samehost", "samenet")
# Files within files, as at a server.
_DEPTH_MAX: Final = 10
# A word, or one in quotes, which then is no keyword, or an option whose value is in quotes; commas
# separate the items of a list.
_ITEM: Final = re.compile(r'\s*(?:"((?:[^"]|"")*)"|(\w+="(?:[^"]|"")*"|[^\s,"]+))(\s*,)?')

Reader = Callable[[Path], str]


def parse_hba(text: str, path: Path, read: Reader) -> tuple[HbaRule, ...]:
    """The lines of a file. Raises ConfigError with the place."""
    rules = []
    for number, line in _lines(text):
        try:
            rules.append(_rule(_fields(line), path, read))
        except ConfigError as error:
            raise error.at(path, number) from None
        except ValueError as error:
            raise ConfigError(str(error), path, number) from None
    return tuple(rules)


def parse_ident(text: str, path: Path) -> dict[str, tuple[tuple[str, str], ...]]:
    """Maps by name: pairs of a system name (or /pattern) and a user. Raises ConfigError."""
    maps: dict[str, tuple[tuple[str, str], ...]] = {}
    for number, line in _lines(text):
        fields = _fields(line)
        if len(fields) != 3:
            raise ConfigError("expected a map, a system user and a user", path, number)
        name, known_as, user = (next(iter(field))[0] for field in fields)
        maps[name] = (*maps.get(name, ()), (known_as, user))
    return maps


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line and not line.startswith("#"):
            yield number, line


# A field is a list of (word, whether it was in quotes).
Field = list[tuple[str, bool]]


def _fields(line: str) -> list[Field]:
    fields: list[Field] = []
    items: Field = []
    at = 0
    while at < len(line) and not line[at:].lstrip().startswith("#"):
        found = _ITEM.match(line, at)
        if found is None:
            raise ConfigError("a quote is never closed, or a list begins with a comma")
        quoted = found[1] is not None
        items.append((found[1].replace('""', '"') if quoted else found[2], quoted))
        at = found.end()
        if not found[3]:
            fields.append(items)
            items = []
        while at < len(line) and line[at].isspace():
            at += 1
    return fields


def _rule(fields: list[Field], path: Path, read: Reader) -> HbaRule:
    words = [field[0][0] for field in fields]
    kind = words[0].lower()
    if kind not in _KINDS:
        raise ConfigError(f"unknown connection type {kind!r}", hint=nearest(kind, _KINDS))
    if len(words) < (4 if kind == "local" else 5):
        raise ConfigError("the line is too short", hint="host DATABASE USER ADDRESS METHOD")
    near, network, rest = None, None, words[3:]
    if kind != "local":
        near, network, rest = _origin(words[3:], quoted=fields[3][0][1])
    if not rest or rest[0] not in METHODS:
        method = rest[0] if rest else ""
        raise ConfigError(
            f"method {method!r} is not supported", hint=f"use one of {', '.join(METHODS)}"
        )
    options = _options(fields[len(fields) - len(rest) + 1 :])
    known = {"pam": ("pamservice",), "ldap": LDAP_NAMES}.get(rest[0], ("map",))
    unknown = next((name for name in options if name not in known), None)
    if unknown is not None:
        raise ConfigError(f"unknown option {unknown!r}")
    return HbaRule(
        kind=kind,
        databases=_names(fields[1], _DATABASE_KEYWORDS, path, read),
        users=_names(fields[2], ("all",), path, read),
        network=network,
        method=rest[0],
        map=options.get("map"),
        service=options.get("pamservice"),
        ldap=ldap_options(options) if rest[0] == "ldap" else None,
        near=near,
    )


def _options(fields: list[Field]) -> dict[str, str]:
    """What stands behind the method: name=value, or name="a, b"."""
    options: dict[str, str] = {}
    for field in fields:
        if len(field) > 1:
            raise ConfigError(f"write {field[0][0].partition('=')[0]} with its value in quotes")
        name, _, value = field[0][0].partition("=")
        if len(value) > 1 and value.startswith('"'):
            value = value[1:-1].replace('""', '"')
        options[name] = value
    return options


def _origin(words: list[str], quoted: bool) -> tuple[str | None, Network | None, list[str]]:
    """The keyword, or else the network, and what stands behind it. Raises ValueError.

    In quotes nothing is a keyword.
    """
    first = words[0]
    if not quoted and (first == "all" or first in _NEAR):
        return None if first == "all" else first, None, words[1:]
    if "/" in first:
        return None, ipaddress.ip_network(first, strict=False), words[1:]
    return None, ipaddress.ip_network(f"{first}/{words[1]}", strict=False), words[2:]


def _names(
    field: Field, keywords: tuple[str, ...], path: Path, read: Reader, depth: int = 0
) -> Names:
    names: set[str] = set()
    found: set[str] = set()
    groups: set[str] = set()
    for word, quoted in field:
        if quoted:
            names.add(word)
        elif word.startswith("@"):
            if depth == _DEPTH_MAX:
                raise ConfigError(f"{word}: too many files within files")
            file = path.parent / word[1:]
            listed = [item for _, line in _lines(read(file)) for f in _fields(line) for item in f]
            inner = _names(listed, keywords, file, read, depth + 1)
            names |= inner.names
            found |= inner.keywords
            groups |= inner.groups
        elif word in keywords:
            found.add(word)
        elif word.startswith("+") and "samerole" not in keywords:
            groups.add(word[1:])
        elif word.startswith(("+", "/")):
            raise ConfigError(f"{word} is not supported: name the users and databases")
        else:
            names.add(word)
    return Names(frozenset(names), frozenset(found), frozenset(groups))
