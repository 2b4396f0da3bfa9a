"""A pool's figures as metrics.

Names that begin with `pgbouncer_` are those of prometheus-community/pgbouncer_exporter, so that
dashboards and alerts made for it carry over. Totals have two spellings there: that of its code
since 0.11 (`pgbouncer_stats_totals_...`) and the older one of its README; both are given. What
PgBouncer has no figure for begins with `trio_pool_`. Seconds and bytes throughout.
"""

from __future__ import annotations

import importlib.metadata
import resource
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trio_pool.admin.statistics import totals
from trio_pool.console import Rows
from trio_pool.console.answer import Value
from trio_pool.metrics import MICROSECONDS
from trio_pool.pinned import pinned
from trio_pool.pins import KINDS
from trio_pool.web.clock import Clock, step_seconds
from trio_pool.web.exposition import Family, Labels, Sample, histogram

if TYPE_CHECKING:
    from trio_pool.server import Server

Record = dict[str, Value]

# Linux: sizes of this process in pages.
_STATM: Final = Path("/proc/self/statm")
_GAUGE: Final = "gauge"
_COUNTER: Final = "counter"
_OLD: Final = " (the older name of pgbouncer_stats_totals_...)"

# Column, metric, help.
_POOLS: Final = (
    ("cl_active", "client_active_connections", "Clients that are not waiting for a backend"),
    ("cl_waiting", "client_waiting_connections", "Clients that wait for a backend"),
    ("cl_active_cancel_req", "client_active_cancel_connections", "Cancel requests under way"),
    ("cl_waiting_cancel_req", "client_waiting_cancel_connections", "Cancel requests that wait"),
    ("sv_active", "server_active_connections", "Backends that are lent to a client"),
    ("sv_active_cancel", "server_active_cancel_connections", "Cancel requests at servers"),
    ("sv_being_canceled", "server_being_canceled_connections", "Backends held up by a cancel"),
    ("sv_idle", "server_idle_connections", "Backends that can be lent at once"),
    ("sv_used", "server_used_connections", "Backends to be checked before they are lent"),
    (
        "sv_tested",
        "server_testing_connections",
        "Backends that are being reset or checked, or listen",
    ),
    ("sv_login", "server_login_connections", "Backends that are being opened"),
)
_DATABASES: Final = (
    ("pool_size", "pool_size", "Backends that a pool of this database may have"),
    ("min_pool_size", "min_pool_size", "Backends that a pool in use keeps at least"),
    ("reserve_pool_size", "reserve_pool", "Backends beyond these, for those who wait long"),
    ("max_connections", "max_connections", "Backends that all pools of it may have, 0 for any"),
    ("current_connections", "current_connections", "Backends that all pools of it have"),
    ("paused", "paused", "1 while the database is paused"),
    ("disabled", "disabled", "1 while the database takes no new clients"),
)
_DATABASE_LABELS: Final = ("name", "host", "port", "database", "force_user", "pool_mode")
# Field of Figures, metric, whether it is microseconds, help.
_TOTALS: Final = (
    ("queries", "queries_pooled_total", False, "Queries"),
    ("query_time", "queries_duration_seconds_total", True, "Time that queries took"),
    ("received", "received_bytes_total", False, "Bytes received from clients"),
    ("sent", "sent_bytes_total", False, "Bytes sent to clients"),
    ("wait_time", "client_wait_seconds_total", True, "Time that clients waited for backends"),
    ("transactions", "sql_transactions_pooled_total", False, "Transactions"),
    (
        *("transaction_time", "server_in_transaction_seconds_total", True),
        "Time for which backends were lent",
    ),
    ("assignments", "server_assignments_total", False, "Times that a backend was lent"),
    ("client_parses", "client_parses_total", False, "Statements that clients prepared"),
    ("server_parses", "server_parses_total", False, "Statements prepared on backends again"),
    ("binds", "binds_total", False, "Bind messages"),
)
_LISTS: Final = {
    "databases": ("databases", "Databases"),
    "users": ("users", "Users"),
    "pools": ("pools", "Pools"),
    "free_clients": ("free_clients", "Always 0 here"),
    "used_clients": ("used_clients", "Clients that have logged in"),
    "login_clients": ("login_clients", "Clients that are logging in"),
    "free_servers": ("free_servers", "Always 0 here"),
    "used_servers": ("used_servers", "Backends"),
    "dns_names": ("cached_dns_names", "Always 0 here"),
    "dns_zones": ("cached_dns_zones", "Always 0 here"),
    "dns_queries": ("in_flight_dns_queries", "Always 0 here"),
}


def records(server: Server, table: str) -> list[Record]:
    """The rows of a table of the console, by column."""
    answer = server.operations.show(table)
    assert isinstance(answer, Rows)
    names = [column.name.decode() for column in answer.layout]
    return [dict(zip(names, row, strict=True)) for row in answer.rows]


def families(server: Server, clock: Clock) -> Iterator[Family]:
    """Everything, as it is now."""
    yield _one("pgbouncer_up", "1: the pool answers", 1)
    version = str(records(server, "VERSION")[0]["version"])
    yield _info("pgbouncer_version_info", "What the console calls itself", version)
    yield from _of_pools(server)
    yield from _of_databases(server)
    yield from _of_totals(server)
    yield from _of_lists(server)
    settings = server.config.settings
    prefix = "pgbouncer_config_max_"
    yield _one(f"{prefix}client_connections", "max_client_conn", settings.max_client_conn)
    yield _one(f"{prefix}user_connections", "max_user_connections", settings.max_user_connections)
    yield from _of_ours(server)
    yield from _durations(server, clock)
    yield from _of_process(clock)


def _one(name: str, text: str, value: float, kind: str = _GAUGE) -> Family:
    return Family(name, kind, text, (Sample(value),))


def _info(name: str, text: str, version: str) -> Family:
    return Family(name, _GAUGE, text, (Sample(1, (("version", version),)),))


def _labels(record: Mapping[str, Value], names: Iterable[str]) -> Labels:
    return tuple((name, "" if record[name] is None else str(record[name])) for name in names)


def _float(value: Value) -> float:
    assert isinstance(value, int)
    return value


def _of_pools(server: Server) -> Iterator[Family]:
    rows = [(_labels(row, ("database", "user")), row) for row in records(server, "POOLS")]
    for column, name, text in _POOLS:
        samples = tuple(Sample(_float(row[column]), labels) for labels, row in rows)
        yield Family(f"pgbouncer_pools_{name}", _GAUGE, text, samples)
    waits = tuple(
        Sample(_float(row["maxwait"]) + _float(row["maxwait_us"]) / MICROSECONDS, labels)
        for labels, row in rows
    )
    text = "How long the first client in the line has waited"
    yield Family("pgbouncer_pools_client_maxwait_seconds", _GAUGE, text, waits)


def _of_databases(server: Server) -> Iterator[Family]:
    rows = [(_labels(row, _DATABASE_LABELS), row) for row in records(server, "DATABASES")]
    for column, name, text in _DATABASES:
        samples = tuple(Sample(_float(row[column]), labels) for labels, row in rows)
        yield Family(f"pgbouncer_databases_{name}", _GAUGE, text, samples)


def _of_totals(server: Server) -> Iterator[Family]:
    rows = [((("database", name),), figures) for name, figures in totals(server).items()]
    for field, name, micros, text in _TOTALS:
        values = [(labels, int(getattr(figures, field))) for labels, figures in rows]
        samples = tuple(Sample(v / MICROSECONDS if micros else v, labels) for labels, v in values)
        yield Family(f"pgbouncer_stats_totals_{name}", _COUNTER, text, samples)
        yield Family(f"pgbouncer_stats_{name}", _COUNTER, text + _OLD, samples)


def _of_lists(server: Server) -> Iterator[Family]:
    for row in records(server, "LISTS"):
        known = _LISTS.get(str(row["list"]))
        if known is not None:
            yield _one(f"pgbouncer_{known[0]}", known[1], _float(row["items"]))


def _of_ours(server: Server) -> Iterator[Family]:
    version = importlib.metadata.version("trio-pool")
    yield _info("trio_pool_version_info", "The version of trio-pool", version)
    for name, text in (
        ("replays", "Statements prepared again on a backend that lacked them"),
        ("evictions", "Statements closed on backends to make room for others"),
        ("settings_restored", "Leases that began with giving a backend its client's settings"),
        ("questions", "Times that a server was asked what a client has set or left"),
    ):
        samples = tuple(
            Sample(getattr(statistics.counters, name), (("database", database),))
            for database, statistics in server.books.by_database.items()
        )
        yield Family(f"trio_pool_{name}_total", _COUNTER, text, samples)
    yield from _of_pins(server)


def _of_pins(server: Server) -> Iterator[Family]:
    begun = tuple(
        Sample(
            getattr(statistics.counters, f"pins_{kind}"),
            (("database", database), ("reason", reason)),
        )
        for database, statistics in server.books.by_database.items()
        for reason, kind in KINDS.items()
    )
    text = "Times that clients began to keep their backend, by reason"
    yield Family("trio_pool_pins_total", _COUNTER, text, begun)
    now = Counter((p.database, p.reason) for p in pinned(list(server.sessions.values())))
    text = "Pins that hold now, by reason"
    samples = tuple(
        Sample(count, (("database", database), ("reason", reason)))
        for (database, reason), count in now.items()
    )
    yield Family("trio_pool_pins", _GAUGE, text, samples)


def _durations(server: Server, clock: Clock) -> Iterator[Family]:
    step = step_seconds(server.config.settings)
    leases: list[Sample] = []
    waits: list[Sample] = []
    for name, statistics in server.books.by_database.items():
        labels, lent = (("database", name),), statistics.counters.transactions
        of_lease = statistics.leases.classes(lent, step)
        leases += histogram(of_lease, statistics.lease_seconds, labels)
        waits += histogram(statistics.waits.classes(lent, step), statistics.wait_seconds, labels)
    text = "Time for which backends were lent: one transaction, or more in session mode and pinned"
    yield Family("trio_pool_lease_seconds", "histogram", text, tuple(leases))
    text = "Time that clients waited for a backend, one wait per lease, most of them 0"
    yield Family("trio_pool_wait_seconds", "histogram", text, tuple(waits))
    lag = tuple(histogram(clock.lag.classes(clock.steps, 0.0), clock.lag.seconds, ()))
    yield Family("trio_pool_loop_lag_seconds", "histogram", "How late the loop was", lag)


def _of_process(clock: Clock) -> Iterator[Family]:
    """By the names that Prometheus' own libraries use."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = used.ru_utime + used.ru_stime
    yield _one("process_cpu_seconds_total", "Processor time used", seconds, _COUNTER)
    text = "When the pool started, in seconds since 1970"
    yield _one("process_start_time_seconds", text, clock.started_at)
    if _STATM.exists():
        resident = int(_STATM.read_text().split()[1]) * resource.getpagesize()
        yield _one("process_resident_memory_bytes", "Memory in use", resident)
