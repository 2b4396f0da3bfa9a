"""The environment variables of the images that people use, and what becomes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from trio_pool.config import AuthType, ConfigError, PoolMode, TlsMode, config_from_environment


def test_a_url_is_a_database_and_its_user() -> None:
    config = config_from_environment(
        {"DATABASE_URL": "postgres://shop:p%40ss%2Fword@db.example:5433/goods?sslmode=require"}
    )

    goods = config.databases["goods"]
    assert (goods.host, goods.port, goods.dbname) == ("db.example", 5433, "goods")
    assert (goods.user, goods.auth_user) == (None, "shop")
    assert config.secrets == {"shop": "p@ss/word"}
    assert config.settings.server_tls_sslmode is TlsMode.REQUIRE
    # The defaults are those of the image.
    assert config.settings.listen_addr == ("0.0.0.0",)
    assert config.settings.listen_port == 5432
    assert config.settings.auth_type is AuthType.MD5
    assert config.settings.admin_users == ("postgres",)


def test_several_urls_are_several_databases() -> None:
    urls = "postgres://a:1@one/first, postgres://b:2@two/second"
    config = config_from_environment({"DATABASE_URLS": urls})

    assert {name: database.host for name, database in config.databases.items()} == {
        "first": "one",
        "second": "two",
    }
    assert config.secrets == {"a": "1", "b": "2"}


def test_the_parts_of_a_place_may_be_given_one_by_one() -> None:
    config = config_from_environment(
        {
            "DB_HOST": "db",
            "DB_USER": "shop",
            "DB_PASSWORD": 'a "b" \\ c',
            "USER": "root",
            "AUTH_TYPE": "scram-sha-256",
            "POOL_MODE": "transaction",
            "LISTEN_PORT": "6000",
            "MAX_CLIENT_CONN": "",
            "HOME": "/root",
            "TIMEZONE": "UTC",
            "PATH": "/bin",
        }
    )

    assert config.databases["*"].host == "db"
    assert config.databases["*"].timezone == "UTC"
    assert config.secrets == {"shop": 'a "b" \\ c'}
    assert config.settings.pool_mode is PoolMode.TRANSACTION
    assert config.settings.listen_port == 6000
    assert config.settings.max_client_conn == 100
    # USER says who is at the terminal, not whom to become.
    assert config.settings.user == ""


def test_console_users_have_their_passwords() -> None:
    config = config_from_environment(
        {
            "DB_HOST": "db",
            "ADMIN_USERS": "anna,ben",
            "ADMIN_PASSWORDS": "1,2",
            "STATS_USERS": "carla",
            "STATS_PASSWORDS": "3",
        }
    )

    assert config.settings.admin_users == ("anna", "ben")
    assert config.secrets == {"anna": "1", "ben": "2", "carla": "3"}


def test_the_other_image_has_other_names_and_defaults(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    config = config_from_environment(
        {
            "POSTGRESQL_HOST": "pg",
            "POSTGRESQL_USERNAME": "shop",
            "PGBOUNCER_DATABASE": "*",
            "POSTGRESQL_PASSWORD_FILE": str(tmp_path / "secret"),
            "PGBOUNCER_USERLIST": '"anna" "1"\\n"ben" "2"',
            "PGBOUNCER_DSN_0": "other=host=elsewhere port=5433 dbname=real",
            "PGBOUNCER_DSN_1": "more=host=there",
            "PGBOUNCER_POOL_MODE": "transaction",
            "PGBOUNCER_SOCKET_DIR": "/run/x",
            "PGBOUNCER_IDLE_TRANSACTION_TIMEOUT": "7",
            "PGBOUNCER_INIT_MAX_RETRIES": "3",
        }
    )

    assert set(config.databases) == {"*", "other", "more"}
    assert (config.databases["*"].host, config.databases["*"].dbname) == ("pg", "*")
    assert (config.databases["other"].host, config.databases["other"].dbname) == (
        "elsewhere",
        "real",
    )
    assert config.secrets == {"shop": "from a file", "anna": "1", "ben": "2"}
    assert config.settings.listen_port == 6432
    assert config.settings.auth_type is AuthType.SCRAM_SHA_256
    assert config.settings.admin_users == ("shop",)
    assert config.settings.unix_socket_dir == "/run/x"
    assert config.settings.idle_transaction_timeout == 7
    assert config.notices == ("PGBOUNCER_INIT_MAX_RETRIES is not understood and has no effect",)


@pytest.mark.parametrize(("yes", "user"), [("yes", "shop"), ("no", None)])
def test_the_user_of_a_database_may_be_fixed(yes: str, user: str | None) -> None:
    config = config_from_environment(
        {
            "POSTGRESQL_HOST": "pg",
            "POSTGRESQL_USERNAME": "shop",
            "POSTGRESQL_PASSWORD": "x",
            "PGBOUNCER_SET_DATABASE_USER": yes,
            "PGBOUNCER_SET_DATABASE_PASSWORD": yes,
        }
    )

    database = config.databases["postgres"]
    assert (database.user, database.password) == (user, "x" if user else None)


def test_what_an_orchestrator_says_of_a_service_is_no_setting() -> None:
    """The story: a service called pgbouncer gives every pod a PGBOUNCER_PORT, which is a URL."""
    config = config_from_environment(
        {
            "DB_HOST": "db",
            "DB_PORT": "tcp://10.0.0.2:5432",
            "POSTGRESQL_PORT": "tcp://10.0.0.3:5432",
            "PGBOUNCER_PORT": "tcp://10.0.0.1:6432",
            "PGBOUNCER_SERVICE_HOST": "10.0.0.1",
            "PGBOUNCER_PORT_6432_TCP_ADDR": "10.0.0.1",
        }
    )

    assert config.settings.listen_port == 5432
    assert (config.databases["*"].host, config.databases["*"].port) == ("db", 5432)
    assert not config.notices


@pytest.mark.parametrize(
    "said",
    [
        {"POSTGRESQL_PORT": "tcp://10.0.0.3:5432", "POSTGRESQL_SERVICE_HOST": "10.0.0.3"},
        {"PGBOUNCER_PORT": "tcp://10.0.0.1:6432", "PGBOUNCER_SERVICE_PORT": "6432"},
    ],
)
def test_services_alone_configure_nothing(said: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="names no server"):
        config_from_environment(said)


def test_a_user_list_wins_over_the_environment(tmp_path: Path) -> None:
    (tmp_path / "users").write_text('"shop" "listed"\n')
    config = config_from_environment(
        {
            "DB_HOST": "db",
            "DB_USER": "shop",
            "DB_PASSWORD": "said",
            "AUTH_FILE": str(tmp_path / "users"),
        }
    )

    assert config.secrets == {"shop": "listed"}


def test_auth_hba_file_counts_here_as_well(tmp_path: Path) -> None:
    (tmp_path / "hba").write_text("host all all all reject\n")
    config = config_from_environment(
        {"DB_HOST": "db", "AUTH_TYPE": "hba", "AUTH_HBA_FILE": str(tmp_path / "hba")}
    )

    assert config.hba is not None and len(config.hba.rules) == 1


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "names no server"),
        ({"DB_HOST": "db", "DB_PORT": "many"}, "DB_PORT = many"),
        ({"DB_HOST": "db", "POOL_MODE": "sometimes"}, "POOL_MODE: pool_mode = sometimes"),
        ({"DATABASE_URL": "mysql://x"}, "not a PostgreSQL URL"),
        ({"POSTGRESQL_HOST": "pg", "POSTGRESQL_PASSWORD_FILE": "/nowhere"}, "/nowhere"),
        ({"POSTGRESQL_HOST": "pg", "PGBOUNCER_USERLIST": "anna"}, "two quoted texts"),
        ({"DB_HOST": "db", "AUTH_FILE": "/nowhere"}, "/nowhere"),
        (
            {"DB_HOST": "db", "ADMIN_USERS": "anna,ben", "ADMIN_PASSWORDS": "1"},
            "1 passwords for 2 users",
        ),
    ],
)
def test_a_mistake_names_its_variable(variables: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config_from_environment(variables)

    assert says in str(refused.value)
