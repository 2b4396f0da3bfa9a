"""The tables of the console: which columns each SHOW has, in order, with their types.

Layouts are PgBouncer 1.25.2's, to the letter: tools read them by name, by position and by count
(CloudNativePG and pgmetrics refuse a table with a column more). What is ours alone has tables
of its own, at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocol.backend_rows import Column

TEXT: Final = 25
INT4: Final = 23
INT8: Final = 20
NUMERIC: Final = 1700
BYTEA: Final = 17

_SIZES: Final = {INT4: 4, INT8: 8}
_TYPES: Final = {"s": TEXT, "i": INT4, "q": INT8, "N": NUMERIC, "b": BYTEA}

Layout = tuple[Column, ...]


def _layout(text: str) -> Layout:
    """Columns from words: `name` is a text, `name:i` an int4, and so on (_TYPES)."""
    columns = []
    for word in text.split():
        name, _, letter = word.partition(":")
        number = _TYPES[letter or "s"]
        columns.append(Column(name.encode(), type=number, type_size=_SIZES.get(number, -1)))
    return tuple(columns)


def text_column(name: str) -> Layout:
    """One column of text."""
    return _layout(name)


_SOCKET: Final = (
    "type user database replication state addr port:i local_addr local_port:i connect_time"
    " request_time wait:i wait_us:i close_needed:i ptr link remote_pid:i tls application_name"
    " prepared_statements:i id:i"
)
_BUFFERS: Final = " recv_pos:i pkt_pos:i pkt_remain:i send_pos:i send_remain:i pkt_avail:i"
_COUNTED: Final = (
    *("server_assignment_count", "xact_count", "query_count", "bytes_received", "bytes_sent"),
    *("xact_time", "query_time", "wait_time"),
)
_SHORT: Final = {"bytes_received": ("received", "recv"), "bytes_sent": ("sent", "sent")}
_PARSED: Final = ("client_parse_count", "server_parse_count", "bind_count")


def _numeric(names: list[str]) -> str:
    return " ".join(f"{name}:N" for name in names)


def _stats() -> str:
    totals = [f"total_{_SHORT.get(name, (name, name))[0]}" for name in _COUNTED]
    averages = [f"avg_{_SHORT.get(name, (name, name))[1]}" for name in _COUNTED]
    totals += [f"total_{name}" for name in _PARSED]
    averages += [f"avg_{name}" for name in _PARSED]
    return "database " + _numeric(totals + averages)


TABLES: Final[Mapping[str, Layout]] = {
    "ACTIVE_SOCKETS": _layout(_SOCKET + _BUFFERS + " send_avail:i"),
    "CLIENTS": _layout(_SOCKET),
    "CONFIG": _layout("key value default changeable"),
    "DATABASES": _layout(
        "name host port:i database force_user pool_size:i min_pool_size:i reserve_pool_size:i"
        " server_lifetime:i pool_mode load_balance_hosts max_connections:i current_connections:i"
        " max_client_connections:i current_client_connections:i paused:i disabled:i"
    ),
    "DNS_HOSTS": _layout("hostname ttl:q addrs"),
    "DNS_ZONES": _layout("zonename serial:q count:i"),
    "FDS": _layout(
        "fd:i task user database addr port:i cancel:q link:i client_encoding std_strings"
        " datestyle timezone password scram_client_key:b scram_server_key:b"
    ),
    "LISTS": _layout("list items:i"),
    "MEM": _layout("name size:i used:i free:i memtotal:i"),
    "PEERS": _layout("peer_id:i host port:i pool_size:i"),
    "PEER_POOLS": _layout(
        "peer_id:i cl_active_cancel_req:i cl_waiting_cancel_req:i sv_active_cancel:i sv_login:i"
    ),
    "POOLS": _layout(
        "database user cl_active:i cl_waiting:i cl_active_cancel_req:i cl_waiting_cancel_req:i"
        " sv_active:i sv_active_cancel:i sv_being_canceled:i sv_idle:i sv_used:i sv_tested:i"
        " sv_login:i maxwait:i maxwait_us:i pool_mode load_balance_hosts"
    ),
    "SERVERS": _layout(_SOCKET),
    "SOCKETS": _layout(_SOCKET + _BUFFERS + " send_avail:i"),
    "STATE": _layout("key value"),
    "STATS": _layout(_stats()),
    "STATS_AVERAGES": _layout(
        "database " + _numeric([*_COUNTED, *(f"avg_{name}" for name in _PARSED)])
    ),
    "STATS_TOTALS": _layout("database " + _numeric([*_COUNTED, *_PARSED])),
    "TOTALS": _layout("name value:N"),
    "USERS": _layout(
        "name pool_size reserve_pool_size pool_mode max_user_connections:i current_connections:i"
        " max_user_client_connections:i current_client_connections:i"
    ),
    "VERSION": _layout("version"),
    # Ours.
    "CHANNELS": _layout("database user channel clients:i server_id:i"),
    "PINS": _layout("database user client_id:i server_id:i reason since seconds:i statement"),
    "PREPARED": _layout("database user server_id:i name uses:q types statement"),
    "TRIO_POOL": _layout("key value"),
}

ADMIN_ONLY: Final = frozenset(["FDS"])
"""Tables that a user who may only look is not shown."""

HELP: Final = "\n".join(
    [
        "",
        "\tSHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION",
        "\tSHOW PEERS|PEER_POOLS",
        "\tSHOW FDS|SOCKETS|ACTIVE_SOCKETS|LISTS|MEM|STATE",
        "\tSHOW DNS_HOSTS|DNS_ZONES",
        "\tSHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS",
        "\tSHOW PREPARED|PINS|CHANNELS|TRIO_POOL",
        "\tSET key = arg",
        "\tRELOAD",
        "\tPAUSE [<db>]",
        "\tRESUME [<db>]",
        "\tDISABLE <db>",
        "\tENABLE <db>",
        "\tRECONNECT [<db>]",
        "\tKILL [<db>]",
        "\tKILL_CLIENT <client_id>",
        "\tSUSPEND",
        "\tSHUTDOWN",
        "\tSHUTDOWN WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS",
        "\tWAIT_CLOSE [<db>]",
    ]
)
