"""`trio-pool conform` finds nothing in our pool, and what is known to be broken in PgBouncer.

Everything goes through the command line, as for a user.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import attrs
import pytest
import trustme

from tests.conftest import StartPool
from tests.support.pgbouncer import running_pgbouncer
from tests.support.raw import RawClient
from trio_pool.cli import main
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres


@pytest.fixture
def database(postgres: LocalServer) -> Iterator[str]:
    """The name of an empty database."""
    name = f"conform_{uuid4().hex[:12]}"
    address = postgres.host, postgres.port
    with RawClient(address, user=postgres.user, password=postgres.password) as root:
        root.rows(f"create database {name}")
        yield name
        root.rows(f"drop database {name} with (force)")


def at(postgres: LocalServer, port: int, database: str) -> str:
    login = f"{quote(postgres.user, safe='')}:{quote(postgres.password, safe='')}"
    return f"postgresql://{login}@127.0.0.1:{port}/{database}"


@attrs.frozen
class Outcome:
    status: int
    out: str
    err: str


@pytest.fixture
def conform(
    postgres: LocalServer, database: str, capsys: pytest.CaptureFixture[str]
) -> Iterator[object]:
    def run(port: int, *more: str, via: str = "") -> Outcome:
        direct, via = at(postgres, postgres.port, database), via or at(postgres, port, database)
        status = main(["conform", "--direct", direct, "--via", via, *more])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    yield run


def test_nothing_differs_through_our_pool(conform, pool: StartPool) -> None:
    running = pool(default_pool_size=8)

    outcome = conform(running.port, "--only", "literal", "--examples", "40")

    assert outcome.status == 0, outcome.out
    assert outcome.out.endswith("no difference\n")


def test_pgbouncer_without_statements_of_its_own_is_found_out(conform, postgres) -> None:
    with running_pgbouncer(postgres) as port:
        outcome = conform(port, "--recorded", "--only", "Parse", "--quick", "--json")

    report = json.loads(outcome.out)
    assert outcome.status == 1
    assert report["holds"] is False
    by_title = {found["script"]: found for found in report["differences"]}
    # What makes people switch prepared statements off in their drivers, and sessions that leak.
    assert "2 became E 26000" in {found["kind"] for found in report["differences"]}
    assert any("Parse name='s'" in found["paste"] for found in by_title.values())
    assert postgres.password not in outcome.out


def test_a_random_script_that_differs_is_shrunk(conform, postgres) -> None:
    with running_pgbouncer(postgres) as port:
        outcome = conform(port, "--random", "--seed", "1", "--examples", "20", "--json")

    report = json.loads(outcome.out)
    found = [each for each in report["differences"] if each["script"] == "a random script"]
    assert found
    assert min(each["step"] for each in found) <= 1, "hundreds of steps were made smaller"


def test_a_database_that_holds_anything_is_refused(
    conform, postgres: LocalServer, database: str, pool: StartPool
) -> None:
    address = postgres.host, postgres.port
    with RawClient(
        address, user=postgres.user, password=postgres.password, database=database
    ) as owner:
        owner.rows("create table precious (a int); insert into precious values (1)")

        outcome = conform(pool().port, "--quick")

        assert outcome.status == 2
        assert "is not empty" in outcome.err
        assert owner.rows("select a from precious") == [("1",)]


def test_a_pooler_is_reached_by_a_unix_socket_and_by_tls(
    conform, postgres: LocalServer, database: str, pool: StartPool, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "pool.pem"))
    running = pool(
        default_pool_size=8,
        unix_socket_dir=str(tmp_path),
        client_tls_sslmode="allow",
        client_tls_cert_file=str(tmp_path / "pool.pem"),
        client_tls_key_file=str(tmp_path / "pool.pem"),
    )
    url = at(postgres, running.port, database)
    some = ("--recorded", "--quick", "--only", "unnamed Parse", "--json")
    encrypted = url.replace("@127.0.0.1", "@localhost") + "?sslmode=verify-full&sslrootcert="

    for via in (
        f"{url}?host={quote(str(tmp_path), safe='')}",
        encrypted + quote(str(tmp_path / "ca.crt"), safe=""),
    ):
        outcome = conform(running.port, *some, via=via)
        assert outcome.status == 0, outcome.out + outcome.err
        assert json.loads(outcome.out)["played"]["rotation"] > 1

    strangers = trustme.CA().cert_pem
    strangers.write_to_path(str(tmp_path / "ca.crt.other"))
    refused = conform(running.port, *some, via=encrypted + quote(str(tmp_path / "ca.crt.other")))
    assert refused.status == 2
    assert "cannot log in" in refused.err


def test_random_scripts_are_played_on_several_databases_at_once(
    conform, postgres: LocalServer, database: str, pool: StartPool
) -> None:
    running = pool(default_pool_size=8)

    outcome = conform(
        running.port, "--random", "--quick", "--examples", "20", "--lanes", "2", "--json"
    )

    assert outcome.status == 0, outcome.out
    assert json.loads(outcome.out)["played"]["random"] >= 20
    address = postgres.host, postgres.port
    with RawClient(address, user=postgres.user, password=postgres.password) as root:
        left = root.rows(f"select from pg_database where datname like '{database}_lane%'")
    assert left == [], "the databases of the other lanes are dropped"


def test_a_pooler_that_is_not_there_is_explained(conform) -> None:
    outcome = conform(1, "--quick")

    assert outcome.status == 2
    assert "cannot log in" in outcome.err
