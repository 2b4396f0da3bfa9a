"""Fixtures for all tests: one PostgreSQL per run, and pools in front of it on demand."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NoReturn, Protocol

import pytest

from tests.support.postgres import server_under_test
from trio_pool.config import Database
from trio_pool.embedded import LocalServer, PostgresNotFound

if TYPE_CHECKING:
    from tests.support.pooler import RunningPool


class StartPool(Protocol):
    """Starts a pool in front of the test server; it ends with the test.

    Settings are named as in an ini file; `users` (name: password) may log in beside the
    superuser, `databases` come before the fallback that serves every name.
    """

    def __call__(
        self,
        *,
        pool_mode: str = ...,
        default_pool_size: int = ...,
        users: Mapping[str, str] | None = ...,
        databases: Mapping[str, Database] | None = ...,
        **settings: str | float,
    ) -> RunningPool: ...


@pytest.fixture(scope="session")
def postgres() -> Iterator[LocalServer]:
    """The PostgreSQL server of this test run."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(server_under_test())
        except PostgresNotFound as missing:
            unavailable(str(missing))
        yield server


@pytest.fixture
def pool(postgres: LocalServer, request: pytest.FixtureRequest) -> Iterator[StartPool]:
    """A function that starts pools in front of the test server.

    When the test has ended, every idle backend must be what its pool believes it to be.
    """
    # Why here: tests of `protocol` alone need no pool to be importable.
    from tests.support.pooler import config_for, running_pool

    started: list[RunningPool] = []
    with contextlib.ExitStack() as stack:

        def start(
            *,
            pool_mode: str = "transaction",
            default_pool_size: int = 1,
            users: Mapping[str, str] | None = None,
            databases: Mapping[str, Database] | None = None,
            **settings: str | float,
        ) -> RunningPool:
            config = config_for(
                postgres,
                users=users,
                databases=databases,
                pool_mode=pool_mode,
                default_pool_size=default_pool_size,
                **settings,
            )
            started.append(stack.enter_context(running_pool(config, postgres)))
            return started[-1]

        yield start
        # Whatever the test was about: no backend may rest with what the pool does not know of.
        hidden = [line for running in started for line in running.what_idle_backends_hide()]
        if hidden and request.node.get_closest_marker("hides") is None:
            pytest.fail("\n".join(hidden), pytrace=False)


def unavailable(reason: str) -> NoReturn:
    """Skip on a developer's machine, fail where CI says that everything must be there."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
