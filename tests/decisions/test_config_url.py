"""A connection URL as the whole configuration."""

from __future__ import annotations

import pytest

from trio_pool.config import (
    AuthType,
    ConfigError,
    PoolMode,
    TlsMode,
    config_from_url,
    is_url,
    parse_url,
)

SECRET = "hunter2-secret"


@pytest.mark.parametrize(
    ("url", "host", "port", "user", "password", "dbname"),
    [
        ("postgresql://u:p@h:1/d", "h", 1, "u", "p", "d"),
        ("postgres://u@h/d", "h", 5432, "u", None, "d"),
        ("postgresql://h", "h", 5432, None, None, None),
        ("postgresql:///d", "127.0.0.1", 5432, None, None, "d"),
        ("postgresql://u%40x:p%2F%3A%25@h/my%20db", "h", 5432, "u@x", "p/:%", "my db"),
        ("postgresql://u:p@ss@h/d", "h", 5432, "u", "p@ss", "d"),
        ("postgresql://[::1]:77/d", "::1", 77, None, None, "d"),
        ("postgresql://%2Fvar%2Frun/d", "/var/run", 5432, None, None, "d"),
        ("postgresql:///d?host=/tmp&port=1&user=u&password=p", "/tmp", 1, "u", "p", "d"),
        ("POSTGRESQL://H.Example/D", "H.Example", 5432, None, None, "D"),
    ],
)
def test_a_url_is_read_as_libpq_reads_it(
    url: str, host: str, port: int, user: str | None, password: str | None, dbname: str | None
) -> None:
    parts = parse_url(url)

    found = (parts.host, parts.port, parts.user, parts.password, parts.dbname)
    assert found == (host, port, user, password, dbname)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"mysql://u:{SECRET}@h/d", "not a PostgreSQL URL"),
        (f"postgresql://u:{SECRET}@h:port/d", "port"),
        (f"postgresql://u:{SECRET}@[::1/d", "cannot be read"),
        (f"postgresql://u:{SECRET}%FF@h/d", "cannot be read"),
        (f"postgresql://u:{SECRET}@h/d?sslmod=disable", "did you mean 'sslmode'"),
        (f"postgresql://u:{SECRET}@h/d?nonsense", "cannot be read"),
        (f"postgresql://u:{SECRET}@a,b/d", "several hosts"),
    ],
)
def test_a_url_that_is_none_is_refused_without_repeating_its_password(url: str, says: str) -> None:
    with pytest.raises(ConfigError) as complaint:
        parse_url(url)

    assert says in str(complaint.value)
    assert SECRET not in str(complaint.value)
    assert SECRET not in repr(complaint.value.__cause__)


def test_a_url_makes_a_transaction_pool_on_the_loopback_address() -> None:
    config = config_from_url("postgresql://u:p@h/d")

    assert config.settings.listen_addr == ("127.0.0.1",)
    assert config.settings.listen_port == 6432
    assert config.settings.pool_mode is PoolMode.TRANSACTION


def test_clients_log_in_with_the_urls_own_user_and_password() -> None:
    config = config_from_url(f"postgresql://u:{SECRET}@h/d")

    assert config.settings.auth_type is AuthType.SCRAM_SHA_256
    assert config.secrets == {"u": SECRET}
    assert SECRET not in repr(config)


def test_a_url_without_a_password_asks_clients_for_none() -> None:
    config = config_from_url("postgresql://u@h/d")

    assert config.settings.auth_type is AuthType.TRUST
    assert config.secrets == {}


def test_a_password_from_elsewhere_serves_a_url_that_has_none() -> None:
    given = config_from_url("postgresql://u@h/d", default_password=SECRET)
    own = config_from_url("postgresql://u:own@h/d", default_password=SECRET)

    assert given.secrets == {"u": SECRET}
    assert given.settings.auth_type is AuthType.SCRAM_SHA_256
    assert given.databases["d"].password == SECRET
    assert own.secrets == {"u": "own"}


@pytest.mark.parametrize("name", ["d", "other"])
def test_any_database_of_the_server_is_served_as_the_urls_user(name: str) -> None:
    database = config_from_url("postgresql://u:p@h:1/d").database(name)

    assert database is not None
    assert (database.host, database.port, database.dbname) == ("h", 1, name)
    assert (database.user, database.password) == ("u", "p")


def test_settings_in_code_win_over_those_of_the_url() -> None:
    config = config_from_url(
        "postgresql://h/d?connect_timeout=3&application_name=a", listen_port=0, pool_mode="session"
    )

    assert config.settings.listen_port == 0
    assert config.settings.pool_mode is PoolMode.SESSION
    assert config.settings.server_connect_timeout == 3.0
    assert config.databases["*"].startup_parameters == {"application_name": "a"}


def test_a_url_that_demands_tls_gets_it_to_its_server() -> None:
    config = config_from_url("postgresql://h/d?sslmode=require")

    assert config.settings.server_tls_sslmode is TlsMode.REQUIRE


def test_a_file_name_is_not_taken_for_a_url() -> None:
    assert is_url("postgres://h")
    assert not is_url("pgbouncer.ini")
    assert not is_url("/etc/postgresql")
