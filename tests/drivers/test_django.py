"""Django's ORM with persistent connections, server-side cursors on, as it comes and prepared."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from uuid import uuid4

import psycopg
import pytest

from tests.drivers.conftest import ROUTES
from tests.drivers.programs import Program, scenarios_that_held

pytestmark = [pytest.mark.drivers, pytest.mark.slow]

SCENARIOS = [
    "migrations",
    "persistent connections",
    "time zones",
    "transactions and savepoints",
    "rows locked for update",
    "server side cursors in and outside of transactions",
    "cursors that are not read to their end",
    "what the orm says",
    "a statement that took too long",
    "prepared statements",
    "databases for tests",
]


@pytest.fixture
def database(postgres) -> Iterator[str]:
    """A database of this test alone: migrations make tables whose names are given."""
    name = f"django_{uuid4().hex[:12]}"
    with psycopg.connect(postgres.url(), autocommit=True) as owner:
        owner.execute(f"create database {name}")
        yield name
        for made in (name, f"test_{name}", f"test_{name}_1", f"test_{name}_2"):
            owner.execute(f"drop database if exists {made} with (force)")


@pytest.fixture(params=ROUTES)
def url(request: pytest.FixtureRequest, postgres, database: str) -> str:
    """The routes of all driver tests, to a database of one's own."""
    size = ROUTES[request.param]
    if size is None:
        return postgres.url(database)
    return request.getfixturevalue("pool")(default_pool_size=size).url(database)


def scenarios_with(options: Mapping[str, object], url: str) -> list[str]:
    program = Program(
        folder="django",
        tools=(),
        build=(),
        command=(sys.executable, "-W", "error", "main.py", json.dumps(options)),
    )
    return scenarios_that_held(program, program.sources, url, errands="")


def test_django_notices_nothing_of_the_pool(url: str) -> None:
    assert scenarios_with({}, url) == SCENARIOS


def test_django_may_bind_and_prepare_on_the_server(pool, database: str) -> None:
    options = {"server_side_binding": True, "prepare_threshold": 5}

    assert scenarios_with(options, pool(default_pool_size=2).url(database)) == SCENARIOS
