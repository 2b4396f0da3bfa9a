"""How clients reach a pool that listens: its addresses as URLs, and as an environment.

Belongs to the decisions: texts only. Programs that embed a pool, `trio-pool exec` and the pytest
plugin all hand these on to whatever is to use the pool.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import attrs

from trio_pool.config import FALLBACK, Config

Address = tuple[str, int] | str

# Stored forms of a password, which no client can log in with.
_STORED: Final = ("md5", "SCRAM-SHA-256$")
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_SOCKET: Final = "/.s.PGSQL."


@attrs.frozen
class Access:
    """The ways into a pool with this configuration that listens at these addresses."""

    config: Config = attrs.field(repr=False)
    addresses: tuple[Address, ...]

    @property
    def host(self) -> str:
        """Where clients connect to: a name or number, or the directory of a unix socket."""
        return self._place[0]

    @property
    def port(self) -> int:
        """The port, or the number in the name of the unix socket."""
        return self._place[1]

    @property
    def _place(self) -> tuple[str, int]:
        for address in self.addresses:
            if isinstance(address, tuple):
                return _ANYWHERE.get(address[0], address[0]), address[1]
        for address in self.addresses:
            if isinstance(address, str):
                # An abstract socket begins with a NUL where clients write an @.
                directory, _, number = address.replace("\0", "@", 1).rpartition(_SOCKET)
                return directory, int(number)
        raise ValueError("this pool listens nowhere: set listen_addr or unix_socket_dir")

    @property
    def user(self) -> str | None:
        """Who may log in: the first user with a secret, or who the database is served as."""
        if self.config.secrets:
            return next(iter(self.config.secrets))
        return next((d.user for d in self.config.databases.values() if d.user), None)

    @property
    def password(self) -> str | None:
        """The password of `user`, where it is known as it is."""
        secret = self.config.secrets.get(self.user or "")
        return None if secret is None or secret.startswith(_STORED) else secret

    @property
    def database(self) -> str:
        """The first database that has a name of its own."""
        names = (name for name in self.config.databases if name != FALLBACK)
        return next(names, "postgres")

    def url(
        self, database: str | None = None, user: str | None = None, password: str | None = None
    ) -> str:
        """A connection URL as libpq and its like read it; what is left out is found here."""
        if user is None:
            user, password = self.user, password if password is not None else self.password
        return url_to(self._place, database or self.database, user, password)

    def environment(self) -> dict[str, str]:
        """What libpq and most frameworks read: DATABASE_URL and the PG variables."""
        found = {
            "DATABASE_URL": self.url(),
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGDATABASE": self.database,
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
        }
        return {name: value for name, value in found.items() if value is not None}


def url_to(place: tuple[str, int], database: str, user: str | None, password: str | None) -> str:
    """A connection URL for a host and port, or for the directory and number of a unix socket."""
    host, port = place
    login = "" if user is None else _quoted(user)
    if user is not None and password:
        login += f":{_quoted(password)}"
    at = f"{login}@" if login else ""
    if host.startswith(("/", "@")):
        return f"postgresql://{at}/{_quoted(database)}?host={_quoted(host)}&port={port}"
    shown = f"[{host}]" if ":" in host else host
    return f"postgresql://{at}{shown}:{port}/{_quoted(database)}"


def _quoted(text: str) -> str:
    return quote(text, safe="")
