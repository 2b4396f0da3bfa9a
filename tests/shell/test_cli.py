"""The command line: what it answers, how it ends, and that it serves."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from trio_pool import cli
from trio_pool.embedded import LocalServer

PATIENCE_SECONDS = 60
SECRET = "hunter2-secret"


def trio_pool(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "trio_pool", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A directory for temporary files, open to every account, that must be empty at the end."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


class Serving:
    """The command at work, its output read line by line."""

    def __init__(self, *words: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "trio_pool", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environment},
        )

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first line that matches; fails when the command ends without one."""
        assert self.process.stdout is not None
        seen = []
        for line in self.process.stdout:
            seen.append(line)
            found = re.search(pattern, line)
            if found:
                return found
        pytest.fail(f"it ended without {pattern!r}:\n{''.join(seen)}")

    def end(self, how: signal.Signals) -> int:
        """Signal it and wait; the exit status."""
        self.process.send_signal(how)
        assert self.process.stdout is not None
        self.process.stdout.read()
        return self.process.wait(PATIENCE_SECONDS)

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.wait()


def test_help_names_the_ways_to_start_and_loads_nothing_heavy() -> None:
    script = (
        "import sys, trio_pool.cli\n"
        "try: trio_pool.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print('heavy:', sorted({'trio', 'pyparsing', 'attrs'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "trio-pool pgbouncer.ini" in done.stdout
    assert "demo" in done.stdout
    assert "heavy: []" in done.stdout


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])

    assert end.value.code == 0
    assert re.fullmatch(
        r"trio-pool \d+\.\d+\.\d+\S* \((compiled|pure Python: [^)]+)\)\n", capsys.readouterr().out
    )


def test_without_a_word_it_shows_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "examples:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["no-such-file.ini"], "no-such-file.ini: cannot be read"),
        ([f"postgresql://u:{SECRET}@h:port/d"], "expected a port"),
        ([f"postgresql://u:{SECRET}@h/d", "--set", "pool_mod=session"], "did you mean 'pool_mode'"),
        ([f"postgresql://u:{SECRET}@h/d", "--set", "pool_mode"], "expected NAME=VALUE"),
        ([f"postgresql://u:{SECRET}@h/d", "-u", "no-such-account"], "no account"),
    ],
)
def test_a_mistake_is_explained_and_ends_with_status_1(words: list[str], says: str) -> None:
    done = trio_pool(*words)

    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr


@pytest.mark.postgres
def test_a_port_that_is_taken_is_explained(postgres: LocalServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = trio_pool(postgres.url(), "--port", str(port))

    assert done.returncode == 1
    assert "another program listens there" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.postgres
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_url_is_served_until_the_signal_and_the_end_is_clean(
    postgres: LocalServer, how: signal.Signals
) -> None:
    with Serving(postgres.url(), "--port", "0") as serving:
        port = serving.wait_for(r"127\.0\.0\.1:(\d+)")[1]
        url = postgres.url().replace(f":{postgres.port}/", f":{port}/")
        with psycopg.connect(url) as client:
            assert client.execute("select 6 * 7").fetchone() == (42,)

        assert serving.end(how) == 0


@pytest.mark.postgres
def test_the_first_line_of_the_log_says_which_form_runs(postgres: LocalServer) -> None:
    with Serving(postgres.url(), "--port", "0", TRIO_POOL_PURE="1") as serving:
        first = serving.wait_for("")

        assert "LOG trio-pool " in first.string
        assert first.string.endswith(", pure Python: TRIO_POOL_PURE is set\n")
        assert serving.end(signal.SIGINT) == 0


@pytest.mark.postgres
def test_the_password_may_stay_out_of_the_command_line(postgres: LocalServer) -> None:
    url = f"postgresql://{postgres.user}@{postgres.host}:{postgres.port}/{postgres.database}"
    with Serving(url, "--port", "0", PGPASSWORD=postgres.password) as serving:
        port = serving.wait_for(r"127\.0\.0\.1:(\d+)")[1]
        with psycopg.connect(postgres.url().replace(f":{postgres.port}/", f":{port}/")) as client:
            assert client.execute("select 6 * 7").fetchone() == (42,)

        assert serving.end(signal.SIGTERM) == 0


@pytest.mark.postgres
@pytest.mark.parametrize("image", ["edoburu", "bitnami"])
def test_the_environment_of_an_image_is_served(
    postgres: LocalServer, tmp_path: Path, image: str
) -> None:
    (tmp_path / "secret").write_text(postgres.password)
    variables = {
        "edoburu": {
            "DB_HOST": postgres.host,
            "DB_PORT": str(postgres.port),
            "DB_USER": postgres.user,
            "DB_PASSWORD": postgres.password,
            "LISTEN_ADDR": "127.0.0.1",
            "LISTEN_PORT": "0",
        },
        "bitnami": {
            "POSTGRESQL_HOST": postgres.host,
            "POSTGRESQL_PORT": str(postgres.port),
            "POSTGRESQL_USERNAME": postgres.user,
            "POSTGRESQL_PASSWORD_FILE": str(tmp_path / "secret"),
            "PGBOUNCER_LISTEN_ADDRESS": "127.0.0.1",
            "PGBOUNCER_PORT": "0",
            "PGBOUNCER_SOCKET_DIR": str(tmp_path),
        },
    }[image]
    absent = str(tmp_path / "pgbouncer.ini")
    with Serving("--from-environment", absent, **variables) as serving:
        port = serving.wait_for(r"127\.0\.0\.1:(\d+)")[1]
        url = postgres.url().replace(f":{postgres.port}/", f":{port}/")
        with psycopg.connect(url) as client:
            assert client.execute("select 6 * 7").fetchone() == (42,)

        assert serving.end(signal.SIGINT) == 0


def test_a_file_wins_over_the_environment(tmp_path: Path) -> None:
    (tmp_path / "pool.ini").write_text("[pgbouncer]\npool_mode = sometimes\n")
    done = trio_pool("--from-environment", str(tmp_path / "pool.ini"), DB_HOST="nowhere")

    assert done.returncode == 1
    assert "pool_mode = sometimes" in done.stderr


def test_nothing_to_serve_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["run"])

    assert ended.value.code == 2
    assert "say what to serve" in capsys.readouterr().err


@pytest.mark.postgres
def test_an_ini_file_is_served_and_its_notices_are_logged(
    postgres: LocalServer, tmp_path: Path
) -> None:
    (tmp_path / "users").write_text(f'"{postgres.user}" "{postgres.password}"\n')
    (tmp_path / "pool.ini").write_text(
        f"""
        [databases]
        shop = host={postgres.host} port={postgres.port} dbname=postgres
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = 0
        unix_socket_dir =
        auth_type = scram-sha-256
        auth_file = {tmp_path / "users"}
        pkt_buf = 9
        pidfile = {tmp_path / "pid"}
        """
    )
    with Serving(str(tmp_path / "pool.ini")) as serving:
        serving.wait_for("pkt_buf has no meaning here")
        port = serving.wait_for(r"127\.0\.0\.1:(\d+)")[1]
        assert (tmp_path / "pid").read_text() == f"{serving.process.pid}\n"
        url = postgres.url("shop").replace(f":{postgres.port}/", f":{port}/")
        with psycopg.connect(url) as client:
            assert client.execute("select current_database()").fetchone() == ("postgres",)

        assert serving.end(signal.SIGTERM) == 0
    assert not (tmp_path / "pid").exists()


@pytest.mark.postgres
def test_the_demo_proves_itself_and_leaves_nothing_behind(temporary: Path) -> None:
    done = trio_pool("demo", "--once", TMPDIR=str(temporary))

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"executions +800", done.stdout)
    assert re.search(r"backends used +2\b", done.stdout)
    assert re.search(r"replays +[1-9]", done.stdout)
    assert re.search(r"errors +0", done.stdout)
    assert not list(temporary.iterdir())


@pytest.mark.postgres
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_keeps_serving_until_the_signal_and_leaves_nothing_behind(
    temporary: Path, how: signal.Signals
) -> None:
    with Serving("demo", TMPDIR=str(temporary)) as serving:
        url = serving.wait_for(r"psql (postgresql://\S+)")[1]
        with psycopg.connect(url) as client:
            assert client.execute("select 6 * 7").fetchone() == (42,)

        assert serving.end(how) == 0
    assert not list(temporary.iterdir())


@pytest.mark.postgres
def test_the_demo_takes_a_server_that_it_is_given_and_keeps_its_password(
    postgres: LocalServer,
) -> None:
    done = trio_pool("demo", "--once", "--postgres", postgres.url())

    assert done.returncode == 0, done.stdout + done.stderr
    assert postgres.password not in done.stdout + done.stderr


@pytest.mark.postgres
def test_the_proof_of_the_demo_is_json_for_programs(postgres: LocalServer) -> None:
    done = trio_pool("demo", "--json", "--postgres", postgres.url())

    assert done.returncode == 0, done.stdout + done.stderr
    proof = json.loads(done.stdout)
    assert (proof["ok"], proof["prepared"], proof["executions"]) == (True, 40, 800)
    assert proof["errors"] == []
