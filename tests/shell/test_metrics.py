"""What a pool tells programs over HTTP, read as Prometheus reads it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.support.console import Operated, serving
from tests.support.program import Program
from tests.support.snippets import ROOT, snippets
from tests.support.web import PATIENCE_SECONDS, ask, place_of
from trio_pool.config import load_config
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres

# Every metric that dashboards made for pgbouncer_exporter ask for (its collector.go).
EXPORTED = {
    *("pgbouncer_up", "pgbouncer_version_info", "pgbouncer_config_max_client_connections"),
    *("pgbouncer_config_max_user_connections", "pgbouncer_databases", "pgbouncer_users"),
    *("pgbouncer_pools", "pgbouncer_free_clients", "pgbouncer_used_clients"),
    *("pgbouncer_login_clients", "pgbouncer_free_servers", "pgbouncer_used_servers"),
    *("pgbouncer_cached_dns_names", "pgbouncer_cached_dns_zones"),
    "pgbouncer_in_flight_dns_queries",
    *(
        f"pgbouncer_databases_{name}"
        for name in (
            *("pool_size", "reserve_pool", "max_connections", "current_connections", "paused"),
            "disabled",
        )
    ),
    *(
        f"pgbouncer_pools_{name}"
        for name in (
            *("client_active_connections", "client_waiting_connections"),
            *("client_active_cancel_connections", "client_waiting_cancel_connections"),
            *("server_active_connections", "server_active_cancel_connections"),
            *("server_being_canceled_connections", "server_idle_connections"),
            *("server_used_connections", "server_testing_connections"),
            *("server_login_connections", "client_maxwait_seconds"),
        )
    ),
    *(
        f"pgbouncer_{stats}_{name}_total"
        for stats in ("stats", "stats_totals")
        for name in (
            *("queries_pooled", "queries_duration_seconds", "received_bytes", "sent_bytes"),
            *("client_wait_seconds", "sql_transactions_pooled", "server_in_transaction_seconds"),
            *("server_assignments", "client_parses", "server_parses", "binds"),
        )
    ),
}


@pytest.fixture
def operated(tmp_path: Path, postgres: LocalServer) -> Operated:
    made = Operated(tmp_path, postgres)
    made.settings |= {"http_listen_addr": "127.0.0.1", "http_listen_port": "0"}
    return made


@pytest.fixture
def served(operated: Operated) -> Iterator[Operated]:
    with serving(operated):
        yield operated


def samples(served: Operated) -> list[Sample]:
    assert served.serving is not None
    page = ask(served.serving, "/metrics")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    return [
        sample for family in text_string_to_metric_families(page.text) for sample in family.samples
    ]


def value(served: Operated, metric: str, **labels: str) -> float:
    (found,) = [
        sample.value
        for sample in samples(served)
        if sample.name == metric and labels.items() <= sample.labels.items()
    ]
    return found


def status(served: Operated, path: str) -> tuple[int, str]:
    assert served.serving is not None
    page = ask(served.serving, path)
    return page.status, page.text.strip()


def test_a_dashboard_made_for_the_exporter_finds_every_metric(served: Operated) -> None:
    with served.client() as client:
        client.execute("select 1")

    assert {sample.name for sample in samples(served)} >= EXPORTED


def test_every_metric_of_the_page_is_there(served: Operated) -> None:
    assert served.serving is not None
    page = (ROOT / "docs" / "metrics.md").read_text()
    told = set(re.findall(r"`((?:trio_pool|process|pgbouncer)_\w+)`", page))
    with served.client() as client:
        client.execute("create temp table mine (a int)")
        families = {
            line.split()[2]
            for line in ask(served.serving, "/metrics").text.splitlines()
            if line.startswith("# TYPE")
        }

    assert len(told) > 12
    assert told <= families


def test_the_file_of_the_page_serves_them(operated: Operated) -> None:
    (text,) = snippets("docs/metrics.md", "ini")
    file = operated.path / "page.ini"
    file.write_text(f"{text}auth_type = trust\n[databases]\n* = host=127.0.0.1\n")
    settings = load_config(file).settings

    assert settings.http_listen_addr == ("127.0.0.1",)
    assert settings.http_listen_port == 9127


def test_the_figures_are_those_of_the_console(served: Operated) -> None:
    with served.client() as client:
        for _ in range(3):
            client.execute("select 1", prepare=True)

        found = value(served, "pgbouncer_stats_totals_queries_pooled_total", database="postgres")
        assert found == served.row("STATS_TOTALS", database="postgres")["query_count"]
        pool = {"database": "postgres", "user": served.postgres.user}
        assert value(served, "pgbouncer_pools_server_idle_connections", **pool) == 1
        assert value(served, "pgbouncer_pools_client_active_connections", **pool) == 1


def test_names_of_all_kinds_survive_the_format(operated: Operated) -> None:
    name = 'the "new" \\ shop'
    operated.databases['"' + name.replace('"', '""') + '"'] = operated.databases["*"]
    with serving(operated):
        found = value(operated, "pgbouncer_databases_paused", name=name)

    assert found == 0


def test_a_replayed_statement_is_counted(operated: Operated) -> None:
    operated.settings["server_round_robin"] = "1"
    with serving(operated) as served, served.client() as one, served.client() as other:
        with one.transaction():
            one.execute("select 1", prepare=True)
            other.execute("select 2")
        for _ in range(2):
            one.execute("select 1", prepare=True)

        total = value(served, "trio_pool_replays_total", database="postgres")
        parses = value(served, "pgbouncer_stats_totals_server_parses_total", database="postgres")
        assert total == parses > 0


def test_a_pin_is_counted_with_its_reason(served: Operated) -> None:
    with served.client() as client:
        client.execute("create temp table mine (a int)")

        pin = {"database": "postgres", "reason": "temporary objects"}
        assert value(served, "trio_pool_pins", **pin) == 1
        assert value(served, "trio_pool_pins_total", **pin) == 1


def test_a_wait_and_the_lease_it_waited_for_are_in_the_histograms(operated: Operated) -> None:
    operated.settings["default_pool_size"] = "1"
    with serving(operated) as served, served.client() as one, served.client() as other:
        one.execute("begin")
        waiting = threading.Thread(target=other.execute, args=("select 1",))
        waiting.start()
        while value(served, "pgbouncer_pools_client_maxwait_seconds", database="postgres") < 0.1:
            pass
        one.execute("commit")
        waiting.join(PATIENCE_SECONDS)

        for what in ("wait", "lease"):
            name = f"trio_pool_{what}_seconds"
            every = value(served, f"{name}_bucket", database="postgres", le="+Inf")
            short = value(served, f"{name}_bucket", database="postgres", le="0.05")
            assert every == value(served, f"{name}_count", database="postgres") == 2
            assert short < every
            assert value(served, f"{name}_sum", database="postgres") > 0.05


def test_only_clients_leases_count_however_fine_the_clock(operated: Operated) -> None:
    operated.settings["metrics_resolution"] = "0.001"
    with serving(operated) as served:
        with served.client() as client:
            client.execute("select pg_sleep(0.1)")

        name = "trio_pool_lease_seconds"
        assert value(served, f"{name}_count", database="postgres") == 1
        assert value(served, f"{name}_sum", database="postgres") > 0.05


def test_a_session_that_keeps_its_backend_is_one_lease_without_its_reset(
    operated: Operated,
) -> None:
    operated.settings |= {"metrics_resolution": "0.001", "pool_mode": "session"}
    operated.settings["server_reset_query"] = "select pg_sleep(0.3)"
    with serving(operated) as served:
        with served.client() as client:
            client.execute("select pg_sleep(0.1)")
        with served.client() as client:
            client.execute("select 1")

            name = "trio_pool_lease_seconds"
            assert value(served, f"{name}_count", database="postgres") == 1
            assert value(served, f"{name}_sum", database="postgres") > 0.05
            assert value(served, f"{name}_bucket", database="postgres", le="0.05") == 0


def test_every_histogram_is_one(served: Operated) -> None:
    with served.client() as client:
        client.execute("select 1")
    found: dict[tuple[str, str], list[float]] = {}
    for sample in samples(served):
        if sample.name.endswith("_bucket"):
            key = (sample.name, sample.labels.get("database", ""))
            found.setdefault(key, []).append(sample.value)

    assert {name for name, _ in found} == {
        f"trio_pool_{what}_seconds_bucket" for what in ("wait", "lease", "loop_lag")
    }
    assert all(counts == sorted(counts) for counts in found.values())


def test_it_is_healthy_and_ready_while_it_serves(served: Operated) -> None:
    assert status(served, "/healthz") == (200, "ok")
    assert status(served, "/readyz") == (200, "ready")


def test_a_paused_pool_is_healthy_and_not_ready(served: Operated) -> None:
    served.tell("PAUSE")

    assert status(served, "/healthz") == (200, "ok")
    assert status(served, "/readyz") == (503, "not ready: it is paused")

    served.tell("RESUME")

    assert status(served, "/readyz") == (200, "ready")


def test_a_pool_that_waits_for_its_clients_is_not_ready(served: Operated) -> None:
    with served.client() as client:
        served.tell("SHUTDOWN WAIT_FOR_CLIENTS")

        assert status(served, "/readyz") == (503, "not ready: it is shutting down")
        client.execute("select 1")


def test_what_is_not_there_is_refused(served: Operated) -> None:
    assert served.serving is not None
    assert status(served, "/nothing") == (404, "there is no such page")
    page = ask(served.serving, "/metrics", "POST", {})
    assert (page.status, page.headers["allow"]) == (405, "GET")
    page = ask(served.serving, "/metrics", "HEAD")
    assert (page.status, page.body) == (200, b"")


def test_a_request_that_is_too_large_is_refused(served: Operated) -> None:
    assert served.serving is not None
    for headers, body in (([("x-large", "a" * 50_000)], None), ([], "a" * 50_000)):
        page = ask(served.serving, "/metrics", "POST", body, headers)
        assert page.status in (413, 431)


def test_who_says_no_http_is_told_so_and_disturbs_nobody(served: Operated) -> None:
    assert served.serving is not None
    with socket.create_connection(place_of(served.serving), timeout=PATIENCE_SECONDS) as stranger:
        stranger.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f" * 100 + b"\r\n\r\n")
        assert stranger.recv(65_536).startswith(b"HTTP/1.1 400")

    assert status(served, "/healthz") == (200, "ok")


def test_who_never_finishes_a_request_is_let_go(operated: Operated) -> None:
    operated.settings["http_timeout"] = "0.2"
    with serving(operated) as served:
        assert served.serving is not None
        place = place_of(served.serving)
        with socket.create_connection(place, timeout=PATIENCE_SECONDS) as slow:
            slow.sendall(b"GET /metrics HTTP/1.1\r\n")
            assert slow.recv(1) == b""


def test_no_more_than_http_max_conn_are_served_at_once(operated: Operated) -> None:
    operated.settings["http_max_conn"] = "1"
    with serving(operated) as served:
        assert served.serving is not None
        place = place_of(served.serving)
        with socket.create_connection(place, timeout=PATIENCE_SECONDS) as first:
            first.sendall(b"GET /healthz HTTP/1.1\r\nhost: pool\r\n\r\n")
            assert first.recv(65_536).startswith(b"HTTP/1.1 200")
            assert status(served, "/healthz") == (503, "see http_max_conn")


def test_without_h11_the_extra_is_named(operated: Operated) -> None:
    program = (
        "import sys; sys.modules['h11'] = None\n"
        "from trio_pool.cli import main; raise SystemExit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "run", str(operated.write())],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert done.returncode == 1
    assert 'pip install "trio-pool[http]"' in done.stderr


def test_nothing_listens_unless_it_is_asked_for(operated: Operated) -> None:
    del operated.settings["http_listen_addr"]
    with serving(operated) as served:
        assert served.serving is not None
        assert served.serving.server.http_addresses == ()
        with psycopg.connect(served.url("postgres")) as client:
            client.execute("select 1")


def test_a_successor_takes_the_address_over(operated: Operated, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    operated.settings |= {"unix_socket_dir": str(tmp_path), "http_listen_port": str(port)}
    with Program(operated) as old:
        operated.settings["listen_port"] = str(old.port)
        with old.client() as staying, Program(operated, "-R") as new:
            new.wait_for(f"metrics and dashboard on http://127.0.0.1:{port}/")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60) as answer:
                assert answer.read() == b"ready\n"
            staying.execute("select 1")
