"""From a file to a Config.

The only place where the sections meet: settings first, because databases fall back on them.
Files are read through one function, so that a complaint about any of them looks the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import attrs

from trio_pool.config.databases import Database, parse_database
from trio_pool.config.errors import ConfigError
from trio_pool.config.hba import Hba
from trio_pool.config.hba_file import parse_hba, parse_ident
from trio_pool.config.ini import Entry, read_ini
from trio_pool.config.kinds import AuthType
from trio_pool.config.model import Config
from trio_pool.config.settings import Settings, check
from trio_pool.config.userlist import parse_userlist
from trio_pool.config.users import Peer, User, parse_peer, parse_user


def load_config(path: Path | str) -> Config:
    """The configuration in this file and all it names. Raises ConfigError."""
    path = Path(path)
    notices: list[str] = []
    entries = list(read_ini(path, read_text))
    settings = _settings([entry for entry in entries if entry.section == "pgbouncer"], notices)
    rest = _Sections(settings.unix_socket_dir)
    for entry in entries:
        try:
            rest.add(entry)
        except ConfigError as error:
            raise error.at(entry.path, entry.line) from None
    if not rest.databases:
        raise ConfigError(
            "no database is configured", path, hint="add [databases] and: * = host=127.0.0.1"
        )
    return Config(
        settings=settings,
        databases=rest.databases,
        users=rest.users,
        peers=rest.peers,
        secrets=read_secrets(settings.auth_file),
        hba=read_hba(settings, rest.databases.values()),
        notices=tuple(notices),
    )


def _settings(entries: list[Entry], notices: list[str]) -> Settings:
    texts: dict[str, str] = {}
    for entry in entries:
        try:
            notice = check(entry.key, entry.value)
        except ConfigError as error:
            raise error.at(entry.path, entry.line) from None
        if notice is not None:
            notices.append(f"{entry.path}:{entry.line}: {notice}")
        texts[entry.key] = entry.value
    return Settings(texts=texts)


@attrs.define
class _Sections:
    """The other sections, as they fill up. Of two lines with one name the later counts."""

    unix_socket_dir: str
    databases: dict[str, Database] = attrs.field(factory=dict)
    users: dict[str, User] = attrs.field(factory=dict)
    peers: dict[int, Peer] = attrs.field(factory=dict)

    def add(self, entry: Entry) -> None:
        if entry.section == "databases":
            database = parse_database(entry.key, entry.value, self.unix_socket_dir)
            self.databases[entry.key] = database
        elif entry.section == "users":
            self.users[entry.key] = parse_user(entry.key, entry.value)
        elif entry.section == "peers":
            peer = parse_peer(entry.key, entry.value)
            self.peers[peer.id] = peer


def read_secrets(auth_file: str) -> dict[str, str]:
    """The user list of this name; nothing without one. Raises ConfigError."""
    if not auth_file:
        return {}
    path = Path(auth_file)
    return parse_userlist(read_text(path), path)


def read_hba(settings: Settings, databases: Iterable[Database]) -> Hba | None:
    """What auth_hba_file and auth_ident_file say, where they count. Raises ConfigError."""
    if settings.auth_type is not AuthType.HBA:
        return None
    if not settings.auth_hba_file:
        raise ConfigError("auth_type = hba needs auth_hba_file")
    path = Path(settings.auth_hba_file)
    hba = Hba(parse_hba(read_text(path), path, read_text))
    asked = settings.auth_user or any(database.auth_user for database in databases)
    if hba.asks_for_roles and not asked:
        raise ConfigError("+group and samerole are asked of a server", path, hint="set auth_user")
    if not settings.auth_ident_file:
        return hba
    idents = Path(settings.auth_ident_file)
    return attrs.evolve(hba, maps=parse_ident(read_text(idents), idents))


def read_text(path: Path) -> str:
    """A file of text. Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path) from error
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8 text", path) from error
