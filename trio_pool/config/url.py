"""A pool without a file: one connection URL says it all.

`postgresql://user:password@host:port/dbname?parameter=value`, as libpq reads it, becomes a
Config that serves that server on 127.0.0.1 in transaction mode. Clients log in with the URL's
own user and password (SCRAM); without a password there is nothing to ask for, and the loopback
address is the only protection, as it is for the server itself. No complaint repeats the URL:
it holds a password.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import attrs

from trio_pool.config import kinds
from trio_pool.config.databases import FALLBACK, Database
from trio_pool.config.errors import ConfigError, nearest
from trio_pool.config.model import Config
from trio_pool.config.settings import settings_from

SCHEMES: Final = ("postgresql", "postgres")
# libpq's parameters that name the same things as the parts of the URL, and those we pass on.
_PLACE: Final = ("host", "port", "user", "password", "dbname")
_PASSED_ON: Final = (
    *(
        "application_name",
        "channel_binding",
        "client_encoding",
        "connect_timeout",
        "sslmode",
        "sslrootcert",
    ),
)
_EXAMPLE: Final = "postgresql://user:password@host:5432/dbname"


@attrs.frozen(kw_only=True)
class ServerUrl:
    """What a URL says of a server; what it leaves out is None."""

    host: str = "127.0.0.1"
    port: int = 5432
    user: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    dbname: str | None = None
    parameters: dict[str, str] = attrs.field(factory=dict)


def is_url(text: str) -> bool:
    """Whether this looks like a connection URL rather than a file name."""
    return text.partition("://")[0].lower() in SCHEMES and "://" in text


def parse_url(url: str) -> ServerUrl:
    """The parts of a connection URL, percent-decoded. Raises ConfigError."""
    if not is_url(url):
        raise ConfigError("not a PostgreSQL URL", hint=f"write it as {_EXAMPLE}")
    try:
        parts = urlsplit(url)
        place = _place(parts)
        query = _parameters(parts.query)
    except ValueError:
        # Why no cause: its text may quote the URL.
        raise ConfigError("the URL cannot be read", hint=f"write it as {_EXAMPLE}") from None
    return _server_url(place, query)


def _place(parts: SplitResult) -> dict[str, str]:
    """User, password, host, port and database as texts. Raises ValueError, ConfigError."""
    login, at, address = parts.netloc.rpartition("@")
    user, colon, password = login.partition(":")
    if "," in address:
        raise ConfigError("several hosts in a URL are not supported", hint="name one host")
    host, port = _host_and_port(address)
    given = {
        "user": user if at else "",
        "password": password if colon else "",
        "host": host,
        "port": port,
        "dbname": parts.path.removeprefix("/"),
    }
    return {name: unquote(text, errors="strict") for name, text in given.items() if text}


def _parameters(query: str) -> dict[str, str]:
    if not query:
        return {}
    return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))


def _host_and_port(address: str) -> tuple[str, str]:
    if address.startswith("["):
        host, _, port = address[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = address.partition(":")
    return host, port


def _server_url(place: dict[str, str], query: dict[str, str]) -> ServerUrl:
    for name in query:
        if name not in (*_PLACE, *_PASSED_ON):
            hint = nearest(name, (*_PLACE, *_PASSED_ON))
            raise ConfigError(f"unknown parameter {name!r} in the URL", hint=hint)
    place = place | {name: query[name] for name in _PLACE if query.get(name)}
    return ServerUrl(
        host=place.get("host", "127.0.0.1"),
        port=kinds.PORT.parse("the port of the URL", place.get("port", "5432")),
        user=place.get("user"),
        password=place.get("password"),
        dbname=place.get("dbname"),
        parameters={name: query[name] for name in _PASSED_ON if name in query},
    )


def config_from_url(
    url: str, *, default_password: str | None = None, **settings: str | float
) -> Config:
    """A pool for the server that the URL names; `settings` win over the defaults below.

    `default_password` serves when the URL has none. Raises ConfigError.
    """
    server = parse_url(url)
    if server.password is None:
        server = attrs.evolve(server, password=default_password)
    given: dict[str, str | int | float] = {
        "listen_addr": "127.0.0.1",
        "listen_port": 6432,
        "unix_socket_dir": "",
        "pool_mode": "transaction",
        "auth_type": "trust" if server.password is None else "scram-sha-256",
    }
    if "sslmode" in server.parameters:
        given["server_tls_sslmode"] = server.parameters["sslmode"]
    if "sslrootcert" in server.parameters:
        given["server_tls_ca_file"] = server.parameters["sslrootcert"]
    if "connect_timeout" in server.parameters:
        given["server_connect_timeout"] = server.parameters["connect_timeout"]
    named = [server.dbname or server.user] if server.dbname or server.user else []
    secrets = {}
    if server.user is not None and server.password is not None:
        secrets[server.user] = server.password
    return Config(
        settings=settings_from(**given | settings),
        databases={name: _database(name, server) for name in (*named, FALLBACK) if name},
        secrets=secrets,
    )


def _database(name: str, server: ServerUrl) -> Database:
    binding = server.parameters.get("channel_binding", "prefer")
    return Database(
        name=name,
        host=server.host,
        port=server.port,
        dbname=name,
        user=server.user,
        password=server.password,
        application_name=server.parameters.get("application_name"),
        client_encoding=server.parameters.get("client_encoding"),
        channel_binding=kinds.CHANNEL_BINDING.parse("channel_binding", binding),
    )
