"""A configuration from environment variables: those of the PgBouncer images that people use.

Two families of names are understood. One is edoburu/pgbouncer's: DATABASE_URL, DATABASE_URLS or
DB_HOST, DB_PORT, DB_USER, DB_PASSWORD and DB_NAME, and every setting in capitals (POOL_MODE). The
other is bitnami/pgbouncer's: POSTGRESQL_HOST and its like, PGBOUNCER_DATABASE, PGBOUNCER_USERLIST,
PGBOUNCER_DSN_0 ..., and every setting behind PGBOUNCER_. Defaults are those of the image whose
names are used. `NAME_FILE` says where the value of NAME stands, as secrets are mounted.

Unlike there nothing is pasted into a file: a password may have any character in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from trio_pool.config.databases import FALLBACK, Database, parse_database
from trio_pool.config.errors import ConfigError
from trio_pool.config.load import read_hba, read_secrets, read_text
from trio_pool.config.model import Config
from trio_pool.config.settings import check, settings_from
from trio_pool.config.table import SETTINGS
from trio_pool.config.url import ServerUrl, parse_url
from trio_pool.config.userlist import parse_userlist

PREFIX: Final = "PGBOUNCER_"
_OTHER_NAMES: Final = {
    "PGBOUNCER_PORT": "listen_port",
    "PGBOUNCER_LISTEN_ADDRESS": "listen_addr",
    "PGBOUNCER_SOCKET_DIR": "unix_socket_dir",
    "PGBOUNCER_SOCKET_MODE": "unix_socket_mode",
    "PGBOUNCER_SOCKET_GROUP": "unix_socket_group",
    "PGBOUNCER_LOG_FILE": "logfile",
    "PGBOUNCER_PID_FILE": "pidfile",
}
# Variables that mean something else, wherever they come from.
_NEVER_BARE: Final = frozenset({"user", "conffile", "service_name", "job_name"})
_PLACES: Final = (
    *("DATABASE_URL", "DATABASE_URLS", "DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_NAME"),
    *("ADMIN_PASSWORD", "ADMIN_PASSWORDS", "STATS_PASSWORDS", "CLIENT_ENCODING", "TIMEZONE"),
    *("POSTGRESQL_HOST", "POSTGRESQL_PORT", "POSTGRESQL_USERNAME", "POSTGRESQL_PASSWORD"),
    *("POSTGRESQL_DATABASE", "PGBOUNCER_DATABASE", "PGBOUNCER_USERLIST", "PGBOUNCER_CONNECT_QUERY"),
    *("PGBOUNCER_SET_DATABASE_USER", "PGBOUNCER_SET_DATABASE_PASSWORD"),
)
_DSN: Final = re.compile(r"PGBOUNCER_DSN_(\d+)")
# What an orchestrator says of a service that is called pgbouncer, but for its port.
_OF_A_SERVICE: Final = re.compile(r"PGBOUNCER_(SERVICE_.*|PORT_\d+_.*)")
_ADDRESS: Final = re.compile(r"(tcp|udp)://")
_FILE: Final = "_FILE"
_YES: Final = ("1", "yes", "true")
_EDOBURU: Final = {
    "listen_addr": "0.0.0.0",
    "listen_port": "5432",
    "unix_socket_dir": "",
    "auth_type": "md5",
    "admin_users": "postgres",
    "ignore_startup_parameters": "extra_float_digits",
}
_BITNAMI: Final = _EDOBURU | {
    "listen_port": "6432",
    "unix_socket_dir": "/tmp",
    "auth_type": "scram-sha-256",
}

Variables = Mapping[str, str]


def config_from_environment(environment: Variables) -> Config:
    """The configuration that these variables describe. Raises ConfigError."""
    said = _Said(environment)
    texts = dict(_BITNAMI if said.is_bitnami else _EDOBURU)
    secrets: dict[str, str] = {}
    if said.is_bitnami:
        texts["admin_users"] = said.get("POSTGRESQL_USERNAME", "postgres")
        databases = _bitnami(said, secrets)
    else:
        databases = _edoburu(said, texts, secrets)
    texts |= said.settings
    for who in ("ADMIN", "STATS"):
        _console_users(said, who, texts.get(f"{who.lower()}_users", ""), secrets)
    settings = settings_from(**texts)
    return Config(
        settings=settings,
        databases=databases,
        secrets=secrets | read_secrets(settings.auth_file),
        hba=read_hba(settings, databases.values()),
        notices=tuple(said.notices),
    )


class _Said:
    """What of the environment concerns us."""

    def __init__(self, environment: Variables) -> None:
        self.notices: list[str] = []
        self.settings: dict[str, str] = {}
        self._places: dict[str, str] = {}
        self.dsns: dict[int, str] = {}
        self._theirs = False
        # The prefixed ones win.
        for name in sorted(environment, key=lambda name: name.startswith(PREFIX)):
            self._take(name, environment[name])
        self.is_bitnami = self._theirs and not self.get("DB_HOST") and not self.urls

    def _take(self, name: str, text: str) -> None:
        if _is_known(name):
            self._keep(name, text)
        elif name.endswith(_FILE) and _is_known(name.removesuffix(_FILE)):
            self._keep(name.removesuffix(_FILE), read_text(Path(text)).rstrip("\n"))
        elif name.startswith(PREFIX) and not _OF_A_SERVICE.fullmatch(name):
            self.notices.append(f"{name} is not understood and has no effect")

    def _keep(self, name: str, text: str) -> None:
        if name.endswith("_PORT") and _ADDRESS.match(text):
            # Said by an orchestrator of a service that is called db, postgresql or pgbouncer.
            return
        self._theirs = self._theirs or name.startswith((PREFIX, "POSTGRESQL_"))
        setting, dsn = _setting_of(name), _DSN.fullmatch(name)
        if dsn is not None:
            self.dsns[int(dsn[1])] = text
        elif setting is None:
            self._places[name] = text
        elif text:
            try:
                notice = check(setting, text)
            except ConfigError as error:
                raise ConfigError(f"{name}: {error}") from None
            self.notices += [] if notice is None else [f"{name}: {notice}"]
            self.settings[setting] = text

    def get(self, name: str, default: str = "") -> str:
        """The value of a variable that is no setting; one that is empty is not there."""
        return self._places.get(name) or default

    @property
    def urls(self) -> list[str]:
        """Those of the servers, one per database."""
        given = [self.get("DATABASE_URL"), *self.get("DATABASE_URLS").split(",")]
        return [url.strip() for url in given if url.strip()]


def _is_known(name: str) -> bool:
    return name in _PLACES or _setting_of(name) is not None or bool(_DSN.fullmatch(name))


def _setting_of(name: str) -> str | None:
    """The setting that a variable stands for."""
    if name in _PLACES or name != name.upper():
        return None
    bare = name.removeprefix(PREFIX).lower()
    if bare in SETTINGS and (name.startswith(PREFIX) or bare not in _NEVER_BARE):
        return bare
    return _OTHER_NAMES.get(name)


def _edoburu(said: _Said, texts: dict[str, str], secrets: dict[str, str]) -> dict[str, Database]:
    servers = [parse_url(url) for url in said.urls]
    if not servers:
        servers = [_server(said)]
    databases = {}
    for server in servers:
        name = server.dbname or FALLBACK
        databases[name] = _database(said, name, server)
        if server.user and server.password:
            secrets[server.user] = server.password
        if "sslmode" in server.parameters:
            texts["server_tls_sslmode"] = server.parameters["sslmode"]
    return databases


def _server(said: _Said) -> ServerUrl:
    host = said.get("DB_HOST")
    if not host:
        raise ConfigError(
            "the environment names no server", hint="set DATABASE_URL, DB_HOST or POSTGRESQL_HOST"
        )
    return ServerUrl(
        host=host,
        port=_port("DB_PORT", said.get("DB_PORT", "5432")),
        user=said.get("DB_USER") or None,
        password=said.get("DB_PASSWORD") or None,
        dbname=said.get("DB_NAME") or None,
    )


def _port(name: str, text: str) -> int:
    if not text.isdigit() or int(text) > 65_535:
        raise ConfigError(f"{name} = {text}: expected a port number from 0 to 65535")
    return int(text)


def _database(said: _Said, name: str, server: ServerUrl) -> Database:
    return Database(
        name=name,
        host=server.host,
        port=server.port,
        dbname=name,
        # Whoever is not in the user list is looked up as this user.
        auth_user=server.user,
        client_encoding=said.get("CLIENT_ENCODING") or None,
        timezone=said.get("TIMEZONE") or None,
    )


def _bitnami(said: _Said, secrets: dict[str, str]) -> dict[str, Database]:
    name = said.get("PGBOUNCER_DATABASE", "postgres")
    user = said.get("POSTGRESQL_USERNAME", "postgres")
    password = said.get("POSTGRESQL_PASSWORD") or None
    fixed = said.get("PGBOUNCER_SET_DATABASE_USER").lower() in _YES
    known = said.get("PGBOUNCER_SET_DATABASE_PASSWORD").lower() in _YES
    databases = {
        name: Database(
            name=name,
            host=said.get("POSTGRESQL_HOST", "postgresql"),
            port=_port("POSTGRESQL_PORT", said.get("POSTGRESQL_PORT", "5432")),
            dbname=name if name == FALLBACK else said.get("POSTGRESQL_DATABASE", name),
            user=user if fixed else None,
            password=password if known else None,
            connect_query=said.get("PGBOUNCER_CONNECT_QUERY") or None,
        )
    }
    for _, line in sorted(said.dsns.items()):
        other, _, text = line.partition("=")
        databases[other.strip()] = parse_database(other.strip(), text, "/tmp")
    if password is not None:
        secrets[user] = password
    listed = said.get("PGBOUNCER_USERLIST").replace("\\n", "\n")
    secrets |= parse_userlist(listed, Path("PGBOUNCER_USERLIST"))
    return databases


def _console_users(said: _Said, who: str, users: str, secrets: dict[str, str]) -> None:
    """The passwords of those who may use the console, in the order of their names."""
    names = [name.strip() for name in users.split(",") if name.strip()]
    given = said.get(f"{who}_PASSWORDS")
    passwords = given.split(",") if given else [said.get(f"{who}_PASSWORD")]
    if not any(passwords):
        return
    if len(names) != len(passwords):
        raise ConfigError(f"{who}_PASSWORDS has {len(passwords)} passwords for {len(names)} users")
    for name, password in zip(names, passwords, strict=True):
        secrets.setdefault(name, password)
