"""The PostgreSQL server that the tests talk to.

A fresh one of our own, made with the programs of this machine, or in a container where there
are none and Docker answers. TRIO_POOL_TEST_POSTGRES chooses another: a superuser's URL (tests
make roles and databases), `docker`, or `docker:IMAGE`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from trio_pool.config import parse_url
from trio_pool.embedded import LocalServer, PostgresNotFound, local_postgres

CHOICE = "TRIO_POOL_TEST_POSTGRES"
CONNECTIONS_MAX = 300


@contextlib.contextmanager
def server_under_test() -> Iterator[LocalServer]:
    """A server with room for `CONNECTIONS_MAX` connections and SCRAM for everybody.

    Raises PostgresNotFound when there is none to be had.
    """
    choice = os.environ.get(CHOICE, "")
    kind, _, image = choice.partition(":")
    if kind == "docker":
        with _in_container(image) as server:
            yield server
    elif choice:
        yield given_server(choice)
    else:
        with _of_this_machine() as server:
            yield server


def given_server(url: str) -> LocalServer:
    """The server of a URL, in the same words as one of our own."""
    parts = parse_url(url)
    return LocalServer(
        host=parts.host,
        port=parts.port,
        user=parts.user or "postgres",
        password=parts.password or "",
        database=parts.dbname or parts.user or "postgres",
    )


@contextlib.contextmanager
def _of_this_machine() -> Iterator[LocalServer]:
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(
                local_postgres(settings={"max_connections": CONNECTIONS_MAX})
            )
        except PostgresNotFound as missing:
            from trio_pool.testing.containers import why_no_docker

            why = why_no_docker()
            if why is not None:
                raise PostgresNotFound((*missing.places, why)) from None
            server = stack.enter_context(_in_container(""))
        yield server


@contextlib.contextmanager
def _in_container(image: str) -> Iterator[LocalServer]:
    # Why here: the libraries take longer to import than most tests to run.
    from trio_pool.testing.containers import DEFAULT_IMAGE, server_in_container

    with server_in_container(image or DEFAULT_IMAGE, CONNECTIONS_MAX) as url:
        yield given_server(url)
