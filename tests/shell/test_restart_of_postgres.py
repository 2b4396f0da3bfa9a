"""PAUSE, PostgreSQL starts anew, RESUME: applications under load do not notice."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import pytest

from tests.support.console import Operated, serving
from trio_pool.embedded import local_postgres

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
PATIENCE_SECONDS = 30


def start_anew(url: str) -> None:
    """Have the server throw every process away and begin again, as after a crash."""
    with psycopg.connect(url, autocommit=True) as victim:
        os.kill(victim.execute("select pg_backend_pid()").fetchone()[0], signal.SIGKILL)  # type: ignore[index]
        with pytest.raises(psycopg.OperationalError):
            victim.execute("select 1")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            continue
        return
    pytest.fail("PostgreSQL did not come back")


def transactions(running: Operated) -> int:
    counts = [row["xact_count"] for row in running.show("STATS_TOTALS")]
    return sum(int(str(count)) for count in counts)


def test_no_transaction_fails_when_postgres_is_replaced_under_a_pause(tmp_path: Path) -> None:
    with local_postgres() as postgres:
        operated = Operated(tmp_path, postgres)
        # Why as many as clients, and why the wait below: while pgbench waits for the answer to the
        # first Parse of one client, those that hold a backend do not go on.
        operated.settings |= {"default_pool_size": "8"}
        (tmp_path / "script.sql").write_text("begin;\nselect 1;\nselect 2;\ncommit;\n")
        with serving(operated) as running:
            load = subprocess.Popen(
                [
                    *("pgbench", "-n", "-M", "prepared", "-c", "8", "-T", "5"),
                    *("-f", str(tmp_path / "script.sql"), running.url("postgres")),
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            while transactions(running) < 500:
                pass
            for _ in range(3):
                assert running.tell("PAUSE") == "PAUSE"
                start_anew(postgres.url())
                assert running.tell("RESUME") == "RESUME"
            assert load.stdout is not None
            said = load.stdout.read()
            load.stdout.close()

            assert load.wait() == 0, said
            assert "number of failed transactions: 0 " in said
