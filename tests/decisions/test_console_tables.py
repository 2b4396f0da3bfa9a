"""The console's tables against what PgBouncer 1.25.2 sends: names, order, number and types.

The layouts below were taken down from PgBouncer itself, and are written out here in full, so that
a slip in the product's own table cannot hide. A column more breaks CloudNativePG and pgmetrics.
"""

from __future__ import annotations

import pytest

from trio_pool.console import TABLES

TEXT, INT4, INT8, NUMERIC, BYTEA = 25, 23, 20, 1700, 17

SOCKET = [
    ("type", TEXT),
    ("user", TEXT),
    ("database", TEXT),
    ("replication", TEXT),
    ("state", TEXT),
    ("addr", TEXT),
    ("port", INT4),
    ("local_addr", TEXT),
    ("local_port", INT4),
    ("connect_time", TEXT),
    ("request_time", TEXT),
    ("wait", INT4),
    ("wait_us", INT4),
    ("close_needed", INT4),
    ("ptr", TEXT),
    ("link", TEXT),
    ("remote_pid", INT4),
    ("tls", TEXT),
    ("application_name", TEXT),
    ("prepared_statements", INT4),
    ("id", INT4),
]
BUFFERS = [
    ("recv_pos", INT4),
    ("pkt_pos", INT4),
    ("pkt_remain", INT4),
    ("send_pos", INT4),
    ("send_remain", INT4),
    ("pkt_avail", INT4),
    ("send_avail", INT4),
]
PGBOUNCER = {
    "ACTIVE_SOCKETS": SOCKET + BUFFERS,
    "CLIENTS": SOCKET,
    "CONFIG": [("key", TEXT), ("value", TEXT), ("default", TEXT), ("changeable", TEXT)],
    "DATABASES": [
        ("name", TEXT),
        ("host", TEXT),
        ("port", INT4),
        ("database", TEXT),
        ("force_user", TEXT),
        ("pool_size", INT4),
        ("min_pool_size", INT4),
        ("reserve_pool_size", INT4),
        ("server_lifetime", INT4),
        ("pool_mode", TEXT),
        ("load_balance_hosts", TEXT),
        ("max_connections", INT4),
        ("current_connections", INT4),
        ("max_client_connections", INT4),
        ("current_client_connections", INT4),
        ("paused", INT4),
        ("disabled", INT4),
    ],
    "DNS_HOSTS": [("hostname", TEXT), ("ttl", INT8), ("addrs", TEXT)],
    "DNS_ZONES": [("zonename", TEXT), ("serial", INT8), ("count", INT4)],
    "FDS": [
        ("fd", INT4),
        ("task", TEXT),
        ("user", TEXT),
        ("database", TEXT),
        ("addr", TEXT),
        ("port", INT4),
        ("cancel", INT8),
        ("link", INT4),
        ("client_encoding", TEXT),
        ("std_strings", TEXT),
        ("datestyle", TEXT),
        ("timezone", TEXT),
        ("password", TEXT),
        ("scram_client_key", BYTEA),
        ("scram_server_key", BYTEA),
    ],
    "LISTS": [("list", TEXT), ("items", INT4)],
    "MEM": [("name", TEXT), ("size", INT4), ("used", INT4), ("free", INT4), ("memtotal", INT4)],
    "PEERS": [("peer_id", INT4), ("host", TEXT), ("port", INT4), ("pool_size", INT4)],
    "PEER_POOLS": [
        ("peer_id", INT4),
        ("cl_active_cancel_req", INT4),
        ("cl_waiting_cancel_req", INT4),
        ("sv_active_cancel", INT4),
        ("sv_login", INT4),
    ],
    "POOLS": [
        ("database", TEXT),
        ("user", TEXT),
        ("cl_active", INT4),
        ("cl_waiting", INT4),
        ("cl_active_cancel_req", INT4),
        ("cl_waiting_cancel_req", INT4),
        ("sv_active", INT4),
        ("sv_active_cancel", INT4),
        ("sv_being_canceled", INT4),
        ("sv_idle", INT4),
        ("sv_used", INT4),
        ("sv_tested", INT4),
        ("sv_login", INT4),
        ("maxwait", INT4),
        ("maxwait_us", INT4),
        ("pool_mode", TEXT),
        ("load_balance_hosts", TEXT),
    ],
    "SERVERS": SOCKET,
    "SOCKETS": SOCKET + BUFFERS,
    "STATE": [("key", TEXT), ("value", TEXT)],
    "STATS": [
        ("database", TEXT),
        ("total_server_assignment_count", NUMERIC),
        ("total_xact_count", NUMERIC),
        ("total_query_count", NUMERIC),
        ("total_received", NUMERIC),
        ("total_sent", NUMERIC),
        ("total_xact_time", NUMERIC),
        ("total_query_time", NUMERIC),
        ("total_wait_time", NUMERIC),
        ("total_client_parse_count", NUMERIC),
        ("total_server_parse_count", NUMERIC),
        ("total_bind_count", NUMERIC),
        ("avg_server_assignment_count", NUMERIC),
        ("avg_xact_count", NUMERIC),
        ("avg_query_count", NUMERIC),
        ("avg_recv", NUMERIC),
        ("avg_sent", NUMERIC),
        ("avg_xact_time", NUMERIC),
        ("avg_query_time", NUMERIC),
        ("avg_wait_time", NUMERIC),
        ("avg_client_parse_count", NUMERIC),
        ("avg_server_parse_count", NUMERIC),
        ("avg_bind_count", NUMERIC),
    ],
    "STATS_AVERAGES": [
        ("database", TEXT),
        ("server_assignment_count", NUMERIC),
        ("xact_count", NUMERIC),
        ("query_count", NUMERIC),
        ("bytes_received", NUMERIC),
        ("bytes_sent", NUMERIC),
        ("xact_time", NUMERIC),
        ("query_time", NUMERIC),
        ("wait_time", NUMERIC),
        ("avg_client_parse_count", NUMERIC),
        ("avg_server_parse_count", NUMERIC),
        ("avg_bind_count", NUMERIC),
    ],
    "STATS_TOTALS": [
        ("database", TEXT),
        ("server_assignment_count", NUMERIC),
        ("xact_count", NUMERIC),
        ("query_count", NUMERIC),
        ("bytes_received", NUMERIC),
        ("bytes_sent", NUMERIC),
        ("xact_time", NUMERIC),
        ("query_time", NUMERIC),
        ("wait_time", NUMERIC),
        ("client_parse_count", NUMERIC),
        ("server_parse_count", NUMERIC),
        ("bind_count", NUMERIC),
    ],
    "TOTALS": [("name", TEXT), ("value", NUMERIC)],
    "USERS": [
        ("name", TEXT),
        ("pool_size", TEXT),
        ("reserve_pool_size", TEXT),
        ("pool_mode", TEXT),
        ("max_user_connections", INT4),
        ("current_connections", INT4),
        ("max_user_client_connections", INT4),
        ("current_client_connections", INT4),
    ],
    "VERSION": [("version", TEXT)],
}
OURS = {"CHANNELS", "PINS", "PREPARED", "TRIO_POOL"}


@pytest.mark.parametrize("name", PGBOUNCER)
def test_a_table_has_pgbouncers_columns_in_its_order_and_types(name: str) -> None:
    found = [(column.name.decode(), column.type) for column in TABLES[name]]

    assert found == PGBOUNCER[name]


def test_what_is_ours_has_tables_of_its_own() -> None:
    assert set(TABLES) == set(PGBOUNCER) | OURS
