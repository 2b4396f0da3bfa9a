"""The commands for people at a terminal, run as people run them, on our pool and on PgBouncer."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path

import psycopg
import pytest

from tests.support.console import OPERATOR, PASSWORD, STRANGER, Operated, serving
from tests.support.pgbouncer import running_pgbouncer
from trio_pool import cli
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres

PATIENCE_SECONDS = 60
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def trio_pool(
    *words: str, said: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trio_pool", *words],
        input=said,
        stdin=subprocess.DEVNULL if said is None else None,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, postgres: LocalServer) -> Iterator[Operated]:
    with serving(Operated(tmp_path_factory.mktemp("terminal"), postgres)) as running:
        yield running


@pytest.fixture(scope="module")
def url(served: Operated) -> str:
    return served.url("pgbouncer", OPERATOR)


@pytest.fixture(scope="module")
def bouncer(postgres: LocalServer) -> Iterator[str]:
    """The console of a real PgBouncer, with a client."""
    login = f"{postgres.user}:{postgres.password}@127.0.0.1"
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(running_pgbouncer(postgres, admin_users=postgres.user))
        place = f"postgresql://{login}:{port}"
        client = stack.enter_context(psycopg.connect(f"{place}/postgres", autocommit=True))
        client.execute("select 1")
        yield f"{place}/pgbouncer"


def test_top_shows_a_pool_with_who_waits_and_who_is_pinned(served: Operated, url: str) -> None:
    with served.client() as client:
        client.execute("create temp table mine (a int)")
        done = trio_pool("top", "--once", url)

    assert done.returncode == 0, done.stderr
    assert "PgBouncer 1.25.2, trio-pool" in done.stdout
    assert re.search(r"postgres +postgres +1 +0 +- +1 +0", done.stdout)
    assert "temporary objects: create temp table mine (a int)" in done.stdout
    assert "\x1b" not in done.stdout


def test_top_shows_a_real_pgbouncer(bouncer: str) -> None:
    done = trio_pool("top", "--once", bouncer)

    assert done.returncode == 0, done.stderr
    assert re.search(r"postgres +postgres +1 +0 +- +0 +1", done.stdout)
    assert "trio-pool" not in done.stdout


@pytest.mark.parametrize("which", ["ours", "pgbouncer"])
def test_top_tells_programs_the_same(which: str, request: pytest.FixtureRequest) -> None:
    place = request.getfixturevalue("url" if which == "ours" else "bouncer")
    done = trio_pool("top", "--once", "--json", place)
    picture = json.loads(done.stdout)

    assert picture["version"].startswith("PgBouncer 1.")
    assert {"cl_active", "sv_idle"} <= picture["pools"][0].keys()
    assert set(picture["per_second"]) >= {"xact_count", "query_count", "wait_time"}
    assert (picture["pins"] is None) == (which == "pgbouncer")


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Terminal:
    """A terminal of a size with a program in it."""

    def __init__(self, *words: str, **environment: str) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(100, 30)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trio_pool", *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "NO_COLOR": "", **environment},
            # Why: whoever runs the tests in the background may have them ignore it.
            preexec_fn=_heed_interrupts,
        )
        os.close(theirs)
        self.seen = ""

    def resize(self, columns: int, lines: int) -> None:
        ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read_until(self, words: str) -> str:
        """Everything from the last time up to these words."""
        while words not in self.seen:
            self.seen += os.read(self._ours, 65_536).decode("utf-8", "replace")
        found, _, self.seen = self.seen.partition(words)
        return found + words

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def end(self, how: int | None = None) -> tuple[int, str]:
        """Its exit status and what it said last."""
        if how is not None:
            self.process.send_signal(how)
        try:
            while data := os.read(self._ours, 65_536):
                self.seen += data.decode("utf-8", "replace")
        except OSError:
            pass  # The other end of a terminal is gone when its program is.
        return self.process.wait(PATIENCE_SECONDS), self.seen

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)


def test_on_a_terminal_top_draws_follows_its_size_and_leaves_it_as_it_was(
    served: Operated, url: str
) -> None:
    with served.client(), Terminal("top", "--seconds", "30", url) as terminal:
        terminal.read_until("\x1b[?1049h")
        first = terminal.read_until("\x1b[J")
        terminal.resize(50, 10)
        terminal.process.send_signal(signal.SIGWINCH)
        second = terminal.read_until("\x1b[J")
        status, last = terminal.end(signal.SIGINT)

    assert COLOUR.search(first)
    lines = ESCAPE.sub("", second).split("\r\n")
    assert len(lines) > 3
    assert max(map(len, lines)) <= 50
    assert (status, last.endswith("\x1b[?25h\x1b[?1049l")) == (0, True)


def test_no_color_is_heeded(url: str) -> None:
    with Terminal("top", url, NO_COLOR="1") as terminal:
        terminal.read_until("\x1b[?1049h")
        assert not COLOUR.search(terminal.read_until("\x1b[J"))
        terminal.end(signal.SIGINT)


def test_commands_of_the_console_are_carried_out(url: str) -> None:
    done = trio_pool("console", url, "-c", "show version", "-c", "reload")

    assert done.returncode == 0, done.stderr
    assert done.stdout == ("     version\n------------------\n PgBouncer 1.25.2\n(1 row)\nRELOAD\n")


def test_commands_come_from_the_standard_input_as_well(bouncer: str) -> None:
    done = trio_pool("console", bouncer, said="show version;\nhelp\n\\q\nshow nothing\n")

    assert done.returncode == 0, done.stderr
    assert "PgBouncer 1." in done.stdout
    assert "SHOW HELP|CONFIG" in done.stderr


def test_a_command_that_fails_says_why_and_fails_the_shell(url: str) -> None:
    done = trio_pool("console", url, "-c", "pause nowhere", "-c", "show nonsense")

    assert done.returncode == 1
    assert "ERROR:  " in done.stderr
    assert "invalid command 'show nonsense', use SHOW HELP;" in done.stderr


def test_answers_are_json_for_programs(url: str) -> None:
    done = trio_pool("console", url, "--json", "-c", "show version", "-c", "resume")
    version, resume = [json.loads(line) for line in done.stdout.splitlines()]

    assert version["answers"] == [{"tag": "SHOW", "rows": [{"version": "PgBouncer 1.25.2"}]}]
    assert resume["error"] == "pooler is not paused/suspended"


def test_at_a_terminal_the_console_asks_and_goes_on_after_a_mistake(url: str) -> None:
    with Terminal("console", url) as terminal:
        terminal.read_until("pgbouncer=# ")
        terminal.type("nonsense\n")
        assert "ERROR:" in terminal.read_until("pgbouncer=# ").replace("nonsense", "", 1)
        terminal.type("show version;\n")
        assert "PgBouncer 1.25.2" in terminal.read_until("pgbouncer=# ")
        terminal.type("\\q\n")
        assert terminal.end()[0] == 0


@pytest.mark.parametrize("command", ["top", "console"])
def test_a_console_that_cannot_be_reached_is_explained(served: Operated, command: str) -> None:
    nowhere = trio_pool(command, "postgresql://me:secret-word@127.0.0.1:1/pgbouncer", said="")
    refused = trio_pool(command, served.url("pgbouncer", STRANGER), said="")

    assert (nowhere.returncode, refused.returncode) == (1, 1)
    assert "no console at 127.0.0.1:1" in nowhere.stderr
    assert f"refuses {STRANGER}" in refused.stderr
    assert "secret-word" not in nowhere.stderr
    assert "Traceback" not in nowhere.stderr + refused.stderr


@pytest.mark.parametrize("flags", [[], ["--md5"], ["--iterations", "1000"]])
def test_the_line_for_a_user_list_lets_its_user_in(
    tmp_path: Path, postgres: LocalServer, flags: list[str]
) -> None:
    line = trio_pool("hash", *flags, OPERATOR, said=f"{PASSWORD}\n").stdout
    operated = Operated(tmp_path, postgres)
    operated.settings["auth_type"] = "md5"
    operated.secrets[OPERATOR] = line.split('"')[3]
    with serving(operated) as running:
        operated.secrets[OPERATOR] = PASSWORD
        assert running.tell("RELOAD") == "RELOAD"


def test_a_hash_is_json_for_programs_and_quoted_for_user_lists() -> None:
    done = trio_pool("hash", "--md5", "--json", 'o"brien', said="secret\n")
    line = trio_pool("hash", "--md5", 'o"brien', said="secret\n").stdout

    secret = json.loads(done.stdout)["secret"]
    assert line == f'"o""brien" "{secret}"\n'


def test_passwords_that_differ_are_not_hashed() -> None:
    with Terminal("hash", "me") as terminal:
        for prompt, password in (("Password: ", "one"), ("Again: ", "another")):
            terminal.read_until(prompt)
            terminal.type(f"{password}\n")
        status, said = terminal.end()

    assert status == 1
    assert "differ" in said
    assert "another" not in said


def test_migrate_is_json_for_programs(tmp_path: Path, postgres: LocalServer) -> None:
    operated = Operated(tmp_path, postgres)
    operated.settings["pkt_buf"] = "8192"
    report = json.loads(trio_pool("migrate", "--json", str(operated.write())).stdout)
    here = {setting["name"]: setting["here"] for setting in report["settings"]}

    assert here["pool_mode"] == "in effect"
    assert here["pkt_buf"] == "accepted, meaningless here"


def test_bash_completes_commands_and_flags() -> None:
    script = trio_pool("completion", "bash").stdout
    for words, expected in (
        ("trio-pool con", "conform console"),
        ("trio-pool in", "init"),
        ("trio-pool init --f", "--force"),
        ("trio-pool top --o", "--once"),
    ):
        ask = f"COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); _trio_pool"
        done = subprocess.run(
            ["bash", "-c", f'{script}\n{ask}\necho "${{COMPREPLY[@]}}"'],
            capture_output=True,
            text=True,
            check=True,
            cwd="/proc/self",
        )
        assert sorted(done.stdout.split()) == expected.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_knows_every_command_and_its_shell_reads_it(shell: str) -> None:
    script = trio_pool("completion", shell).stdout

    for command in cli.COMMANDS:
        assert command in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_help_imports_neither_trio_nor_anything_else_that_is_slow() -> None:
    program = (
        "import sys; from trio_pool.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'trio', 'attrs', 'pyparsing', 'email', 'importlib.metadata', 'ssl',"
        " 'pathlib', 'urllib', 'json', 'logging'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "[]"
