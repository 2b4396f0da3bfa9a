"""The files that a newcomer begins with: an ini file of few lines, and a user list.

From a connection URL to two texts; who writes them, and where, is `trio_pool.init`. What was asked
for is quoted as the readers of these files want it, whatever characters it has.
"""

from __future__ import annotations

import re

import attrs

from trio_pool.config.databases import CONSOLE
from trio_pool.config.errors import ConfigError
from trio_pool.config.url import ServerUrl
from trio_pool.config.userlist import userlist_line

# What needs no quotes in either place.
_PLAIN = re.compile(r"[\w./-]+", re.ASCII)
# Parameters of a URL that are settings of the pool; the others belong to the database's line.
_SETTINGS = {
    "sslmode": "server_tls_sslmode",
    "sslrootcert": "server_tls_ca_file",
    "connect_timeout": "server_connect_timeout",
}


@attrs.frozen
class FirstFiles:
    """The texts, and the address to connect to once they are served."""

    ini: str
    userlist: str = attrs.field(repr=False)


def first_files(server: ServerUrl, userlist: str, listen_addr: str, listen_port: int) -> FirstFiles:
    """The files for this server; `userlist` is the path of the second. Raises ConfigError."""
    user = server.user
    if user is None:
        raise ConfigError("the URL names no user", hint="postgresql://user:password@host/dbname")
    name = server.dbname or user
    if name == CONSOLE:
        raise ConfigError(f"the name {CONSOLE!r} is reserved for the console")
    for text in (user, server.password or "", name, server.host, *server.parameters.values()):
        if any(not character.isprintable() for character in text):
            raise ConfigError(
                "no name and no password can have a line break or such in these files"
            )
    return FirstFiles(
        ini=_INI.format(
            name=_key(name),
            place=_place(server, name),
            listen_addr=listen_addr,
            listen_port=listen_port,
            login=_login(server, userlist),
            admins=_admins(user),
            encryption=_encryption(server),
        ),
        userlist=_USERLIST + userlist_line(user, server.password or "") + "\n",
    )


def _place(server: ServerUrl, name: str) -> str:
    pairs = {"host": server.host, "port": str(server.port), "dbname": name}
    for parameter, value in server.parameters.items():
        if parameter not in _SETTINGS:
            pairs[parameter] = value
    return " ".join(f"{key}={_value(text)}" for key, text in pairs.items())


def _login(server: ServerUrl, userlist: str) -> str:
    if server.password is None:
        return "; The URL has no password, so there is none to ask for.\nauth_type = trust"
    return f"auth_type = scram-sha-256\nauth_file = {userlist}"


def _admins(user: str) -> str:
    if "," in user or user != user.strip():
        return "; admin_users ="
    return f"admin_users = {user}"


def _encryption(server: ServerUrl) -> str:
    given = [
        f"{setting} = {server.parameters[parameter]}"
        for parameter, setting in _SETTINGS.items()
        if parameter in server.parameters
    ]
    return "\n".join(given) or "; server_tls_sslmode = verify-full\n; server_tls_ca_file ="


def _key(name: str) -> str:
    if _PLAIN.fullmatch(name):
        return name
    return '"' + name.replace('"', '""') + '"'


def _value(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return "'" + text.replace("'", "''") + "'"


_INI = """\
; A pool to begin with. Every setting: docs/settings.md. `trio-pool check` says what is wrong.

[databases]
; What clients name, and where it is. A line `* = host=...` serves every other name.
{name} = {place}

[pgbouncer]
; Where clients connect to; `*` lets other machines in.
listen_addr = {listen_addr}
listen_port = {listen_port}
; The directory of a unix socket; empty: none.
unix_socket_dir =

; Who may come in, and who may use the console (database pgbouncer).
{login}
{admins}

; A client has a backend for the length of a transaction; prepared statements and settings work.
pool_mode = transaction
; Backends for each pair of database and user.
default_pool_size = 20
max_client_conn = 1000

; Encryption to the server, and a picture and metrics over HTTP (pip install "trio-pool[http]").
{encryption}
; http_listen_addr = 127.0.0.1
"""
_USERLIST = """\
; "user" "password", for clients and for the pool at the server. `trio-pool hash USER` makes a
; SCRAM verifier; a server takes that in the place of a password where it has the very same one.
"""
