"""The URLs and environments that lead to a pool, as drivers read them."""

from __future__ import annotations

import pytest

from trio_pool.access import Access
from trio_pool.config import Config, config_from_url, parse_url, settings_from

CONFIG = config_from_url("postgresql://al%40ice:p%3Aw@10.0.0.1/my%2Fdb")


def test_a_url_leads_to_the_first_database_and_user() -> None:
    access = Access(CONFIG, (("127.0.0.1", 6432),))

    assert access.url() == "postgresql://al%40ice:p%3Aw@127.0.0.1:6432/my%2Fdb"
    assert access.url("other") == "postgresql://al%40ice:p%3Aw@127.0.0.1:6432/other"
    assert access.url(user="bob") == "postgresql://bob@127.0.0.1:6432/my%2Fdb"
    assert parse_url(access.url()).password == "p:w"


@pytest.mark.parametrize(
    ("address", "host"), [(("0.0.0.0", 1), "127.0.0.1"), (("::", 1), "::1"), (("::1", 1), "::1")]
)
def test_everywhere_is_reached_on_this_machine(address: tuple[str, int], host: str) -> None:
    access = Access(CONFIG, (address,))

    assert (access.host, access.port) == (host, 1)
    assert parse_url(access.url()).host == host


@pytest.mark.parametrize("directory", ["/run/my pool", "@abstract"])
def test_a_unix_socket_is_a_directory_and_a_number(directory: str) -> None:
    path = f"{directory.replace('@', chr(0))}/.s.PGSQL.6432"

    found = parse_url(Access(CONFIG, (path,)).url())

    assert (found.host, found.port, found.user) == (directory, 6432, "al@ice")


def test_a_stored_form_of_a_password_is_not_shown_as_one() -> None:
    config = Config(settings=settings_from(), databases={}, secrets={"bob": "SCRAM-SHA-256$4096:"})

    access = Access(config, (("127.0.0.1", 1),))

    assert access.url() == "postgresql://bob@127.0.0.1:1/postgres"
    assert "PGPASSWORD" not in access.environment()


def test_the_environment_is_that_of_libpq() -> None:
    assert Access(CONFIG, (("127.0.0.1", 6432),)).environment() == {
        "DATABASE_URL": "postgresql://al%40ice:p%3Aw@127.0.0.1:6432/my%2Fdb",
        "PGHOST": "127.0.0.1",
        "PGPORT": "6432",
        "PGDATABASE": "my/db",
        "PGUSER": "al@ice",
        "PGPASSWORD": "p:w",
    }


def test_a_pool_that_listens_nowhere_has_no_url() -> None:
    with pytest.raises(ValueError, match="listens nowhere"):
        Access(CONFIG, ()).url()
