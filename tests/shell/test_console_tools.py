"""What monitoring tools ask the console, read as each of them reads it.

One entry per tool: its queries, and the columns that it takes by name; those that go by position
or by the number of columns have tests of their own. Sources: the tools' own code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.support.console import WATCHER, Operated, serving
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres

_TOTALS = [f"total_{what}" for what in ("xact_count", "query_count", "received", "sent")]
_TIMES = ["total_xact_time", "total_query_time", "total_wait_time"]
_SERVERS = ["sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login", "maxwait"]
BY_NAME = {
    "pgbouncer_exporter": {
        "SHOW STATS": ["database"],
        "SHOW VERSION;": ["version"],
        "SHOW LISTS;": ["list", "items"],
        "SHOW CONFIG;": ["key", "value", "default", "changeable"],
        "SHOW CLIENTS;": ["database", "user", "state", "application_name"],
        "SHOW DATABASES;": [
            *("name", "host", "port", "database", "force_user", "pool_mode", "pool_size"),
            *("reserve_pool_size", "max_connections", "current_connections", "paused", "disabled"),
        ],
        "SHOW STATS_TOTALS;": [
            *("query_count", "query_time", "bytes_received", "bytes_sent", "wait_time"),
            *("xact_count", "xact_time", "client_parse_count", "server_parse_count"),
            *("bind_count", "server_assignment_count"),
        ],
        "SHOW POOLS;": [
            *("database", "user", "cl_active", "cl_waiting", "cl_active_cancel_req"),
            *("cl_waiting_cancel_req", "sv_active_cancel", "sv_being_canceled", *_SERVERS),
        ],
    },
    "netdata": {
        "SHOW VERSION;": ["version"],
        "SHOW CONFIG;": ["key", "value"],
        "SHOW DATABASES;": [
            *("name", "database", "max_connections", "current_connections", "paused", "disabled"),
        ],
        "SHOW STATS;": [*_TOTALS, *_TIMES, "avg_xact_time", "avg_query_time"],
        "SHOW POOLS;": ["cl_active", "cl_waiting", *_SERVERS, "maxwait_us"],
    },
    "datadog": {
        "SHOW STATS": ["database", *_TOTALS, *_TIMES, "avg_recv", "avg_sent", "avg_xact_count"],
        "SHOW POOLS": ["database", "user", "cl_active", "cl_waiting", *_SERVERS, "maxwait_us"],
        "SHOW DATABASES": ["name", "pool_size", "max_connections", "current_connections"],
        "SHOW CLIENTS": [
            *("connect_time", "request_time", "wait", "wait_us", "state", "user", "database"),
        ],
        "SHOW SERVERS": ["connect_time", "request_time", "state", "user", "database"],
    },
    "telegraf": {
        "SHOW STATS": ["database", "total_xact_count"],
        "SHOW POOLS": ["database", "user", "pool_mode", "cl_active"],
        "SHOW LISTS": ["list", "items"],
    },
}
# pgmetrics refuses every other number of columns; CloudNativePG reads POOLS and STATS alike.
COLUMNS = {"POOLS": 17, "SERVERS": 21, "CLIENTS": 21, "STATS": 23, "DATABASES": 17}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, postgres: LocalServer) -> Iterator[Operated]:
    """A pool that has served somebody who is still there."""
    path: Path = tmp_path_factory.mktemp("tools")
    with serving(Operated(path, postgres)) as running, running.client() as client:
        client.execute("select 1", prepare=True)
        yield running


def asked(served: Operated, sql: str) -> psycopg.Cursor[dict[str, object]]:
    with served.client("pgbouncer", WATCHER) as console:
        return psycopg.ClientCursor(console, row_factory=dict_row).execute(sql)


@pytest.mark.parametrize(
    ("tool", "sql"), [(tool, sql) for tool, queries in BY_NAME.items() for sql in queries]
)
def test_a_tool_finds_its_columns_by_name(served: Operated, tool: str, sql: str) -> None:
    rows = asked(served, sql).fetchall()

    assert rows
    for row in rows:
        assert set(BY_NAME[tool][sql]) <= row.keys()


@pytest.mark.parametrize("table", COLUMNS)
def test_a_tool_that_counts_columns_finds_as_many_as_it_knows(served: Operated, table: str) -> None:
    description = asked(served, f"SHOW {table}").description

    assert description is not None
    assert len(description) == COLUMNS[table]


# What is scanned from each place: s a text, ? one that may be absent, n a whole number.
BY_POSITION = {
    "SHOW POOLS;": "ss" + "n" * 13 + "s?",
    "SHOW STATS;": "s" + "n" * 22,
    "SHOW LISTS;": "sn",
    "SHOW CLIENTS": "ssssssnsnssnnnssnssnn",
    "SHOW SERVERS": "ssssssnsnssnnnssnssnn",
    "SHOW DATABASES": "s?ns?nnnn??nnnnnn",
}


@pytest.mark.parametrize("sql", BY_POSITION)
def test_a_tool_that_goes_by_position_finds_what_it_scans(served: Operated, sql: str) -> None:
    """CloudNativePG reads POOLS, STATS and LISTS so, pgmetrics all but LISTS."""
    found = asked(served, sql)
    rows = [list(row.values()) for row in found.fetchall()]

    assert rows
    for row in rows:
        for value, kind in zip(row, BY_POSITION[sql], strict=True):
            if kind == "n":
                assert str(value).isdigit()
            elif kind == "s":
                assert isinstance(value, str)
            else:
                assert value is None or isinstance(value, str)


def test_the_version_is_found_in_every_way_that_tools_look_for_it(served: Operated) -> None:
    (row,) = asked(served, "SHOW VERSION;").fetchall()
    version = str(row["version"])

    assert version.startswith("PgBouncer ")
    # pgbouncer_fdw casts each of the three parts that it finds to a number.
    found = re.search(r"\d.+", version)
    assert found is not None
    assert [int(part) for part in found[0].split(".")] == [1, 25, 2]


def test_every_figure_of_stats_is_a_number_to_telegraf(served: Operated) -> None:
    for row in asked(served, "SHOW STATS").fetchall():
        assert all(str(row[name]).isdigit() for name in row if name != "database")


def test_the_settings_that_the_exporter_reads_are_numbers(served: Operated) -> None:
    config = {row["key"]: row["value"] for row in asked(served, "SHOW CONFIG;").fetchall()}

    assert str(config["max_client_conn"]).isdigit()
    assert str(config["max_user_connections"]).isdigit()


def test_datadog_can_parse_the_times(served: Operated) -> None:
    from datetime import datetime

    for row in asked(served, "SHOW CLIENTS").fetchall():
        day, hour, _ = str(row["connect_time"]).split()
        datetime.strptime(f"{day} {hour}", "%Y-%m-%d %H:%M:%S")


def test_lists_has_the_names_that_cloudnativepg_knows(served: Operated) -> None:
    assert [row["list"] for row in asked(served, "SHOW LISTS;").fetchall()] == [
        *("databases", "users", "peers", "pools", "peer_pools", "free_clients", "used_clients"),
        *("login_clients", "free_servers", "used_servers", "dns_names", "dns_zones"),
        *("dns_queries", "dns_pending"),
    ]
