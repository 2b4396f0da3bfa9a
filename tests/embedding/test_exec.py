"""`trio-pool exec`: a command with a pool under it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres

TROUBLE = {"PGHOSTADDR": "192.0.2.1", "PGSERVICE": "nowhere", "PGSSLMODE": "require"}


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trio_pool", "exec", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


def python(program: str) -> tuple[str, ...]:
    return ("--", sys.executable, "-c", program)


def test_the_command_finds_the_pool_and_its_status_is_passed_on(postgres: LocalServer) -> None:
    program = """if True:
        import os, psycopg, sys
        for where in ("", os.environ["DATABASE_URL"]):
            with psycopg.connect(where) as client:
                print(client.execute("select 6 * 7").fetchone(), client.info.port)
        sys.exit(7)
    """
    done = run(postgres.url(), *python(program), **TROUBLE)

    assert done.returncode == 7, done.stderr
    assert done.stdout.count("(42,)") == 2
    assert str(postgres.port) not in done.stdout
    assert done.stderr == ""


WAITS = """if True:
    import signal, sys, time
    def told(number, frame):
        print("told", number, flush=True)
        sys.exit(3)
    if sys.argv[1] == "listen":
        signal.signal(signal.SIGUSR1, told)
    print("ready", flush=True)
    signal.pause()
"""


@pytest.mark.parametrize(
    ("how", "number", "expected"),
    [("listen", signal.SIGUSR1, 3), ("do not", signal.SIGTERM, 128 + signal.SIGTERM)],
    ids=["told", "ended"],
)
def test_signals_are_the_command_s(
    postgres: LocalServer, how: str, number: signal.Signals, expected: int
) -> None:
    words = ["-m", "trio_pool", "exec", postgres.url(), *python(WAITS), how]
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        rest = process.stdout.read()
        assert process.wait(60) == expected

    assert rest == (f"told {int(number)}\n" if how == "listen" else "")


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("--", "no-such-command-anywhere"), 127, "no-such-command-anywhere: command not found"),
        (("--", "/"), 126, "cannot be executed"),
        ((), 2, "trio-pool exec URL -- COMMAND"),
        (("-s", "pool_mod=session", "--", "true"), 1, "did you mean 'pool_mode'?"),
    ],
)
def test_what_cannot_be_run_is_explained(
    postgres: LocalServer, words: tuple[str, ...], status: int, says: str
) -> None:
    *before, _ = [*words, "--"]
    middle = before.index("--") if "--" in before else len(before)

    done = run(*before[:middle], postgres.url(), *before[middle:])

    assert done.returncode == status, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_not_there_is_told_before_anything_is_run() -> None:
    done = run("postgresql://nobody:secret@127.0.0.1:1/x", *python("print('ran')"))

    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot log in as nobody" in done.stderr
    assert "secret" not in done.stderr


DEPENDS = """if True:
    import psycopg
    with psycopg.connect("", autocommit=True) as client:
        client.execute("set lock_timeout = '%s'")
        client.execute("select 1")
"""


def test_what_the_command_depended_on_fails_it(postgres: LocalServer) -> None:
    done = run("--adversarial", postgres.url(), *python(DEPENDS % "77s"))

    assert done.returncode == 1
    assert "depended on its sessions:" in done.stderr
    assert "    lock_timeout: set lock_timeout = '77s'" in done.stderr
    assert "SET LOCAL" in done.stderr

    done = run("--adversarial", postgres.url(), *python("print('nothing of the kind')"))

    assert (done.returncode, done.stderr) == (0, "")


def test_the_report_is_json_for_programs(postgres: LocalServer) -> None:
    done = run("--adversarial", "--json", postgres.url(), *python(DEPENDS % "77s"))

    assert done.returncode == 1
    told = json.loads(done.stderr)
    assert told["status"] == 0
    (found,) = told["dependences"]
    assert (found["kind"], found["name"]) == ("setting", "lock_timeout")
    assert "SET LOCAL" in found["instead"]

    done = run("--adversarial", "--json", postgres.url(), *python("raise SystemExit(3)"))

    assert (done.returncode, json.loads(done.stderr)) == (3, {"status": 3, "dependences": []})
