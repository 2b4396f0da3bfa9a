"""Log lines: their shape, where they go, and that nobody waits for them."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartPool
from tests.support.pooler import client_of
from tests.support.raw import RawClient
from trio_pool.embedded import LocalServer
from trio_pool.journal import Journal
from trio_pool.logs import Outbox, set_up_logging
from trio_pool.syslog import Syslog

ROOT = Path(__file__).resolve().parents[2]

LINE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \S+ \[\d+\] "


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Put the root logger back; the handlers of a test are closed."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # Why: `basicConfig` with force would close pytest's own handlers.
    root.handlers = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = handlers, level


@pytest.fixture(autouse=True)
def _records_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting up the log changes what records hold, for the whole process."""
    for name in ("logThreads", "logProcesses", "logMultiprocessing", "_srcfile"):
        monkeypatch.setattr(logging, name, getattr(logging, name))


def written() -> None:
    """Wait until every line so far is where it belongs."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def test_lines_look_like_pgbouncers(capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging("", verbose=0, quiet=False)

    logging.getLogger("pool").info("listening on %s", "somewhere")
    logging.getLogger("pool").warning("careful")
    logging.getLogger("pool").debug("not asked for")

    written()
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(f"{LINE}LOG listening on somewhere", lines[0])
    assert re.fullmatch(f"{LINE}WARNING careful", lines[1])


def test_verbose_shows_more(capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging("", verbose=1, quiet=False)

    logging.getLogger("pool").debug("detail")

    written()
    assert re.fullmatch(f"{LINE}DEBUG detail\n", capfd.readouterr().err)


def test_quiet_leaves_the_terminal_to_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    set_up_logging(str(tmp_path / "log"), verbose=0, quiet=True)

    logging.getLogger("pool").info("event")

    written()
    assert capfd.readouterr().err == ""
    assert (tmp_path / "log").read_text().endswith("LOG event\n")


def test_a_log_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    set_up_logging(str(tmp_path / "log"), verbose=0, quiet=True)
    log = logging.getLogger("pool")

    log.info("before")
    written()
    (tmp_path / "log").rename(tmp_path / "log.1")
    log.info("after")

    written()
    assert "before" in (tmp_path / "log.1").read_text()
    assert "after" in (tmp_path / "log").read_text()


def test_a_traceback_follows_on_its_own_lines(capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging("", verbose=0, quiet=False)

    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("pool").exception("a bug")

    written()
    lines = capfd.readouterr().err.splitlines()
    assert re.fullmatch(f"{LINE}ERROR a bug", lines[0])
    assert lines[1].startswith("Traceback") and lines[-1] == "ValueError: why"


def test_syslog_is_sent_each_line_with_its_severity(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        daemon.settimeout(20)
        set_up_logging("", 0, True, Syslog("till", "local3", str(tmp_path / "log")))
        log = logging.getLogger("pool")
        log.info("event %d", 1)
        try:
            raise ValueError("why\nnot")
        except ValueError:
            log.exception("failure\nof words")
        said = [daemon.recv(4096).decode()]
        while not said[-1].endswith(": not"):
            said.append(daemon.recv(4096).decode())

    who = rf"\w{{3}} [ \d]\d \d\d:\d\d:\d\d till\[{os.getpid()}\]: "
    # Severity + 8 * facility (RFC 3164): informational and error, of local3 (19).
    assert re.fullmatch(rf"<158>{who}event 1", said[0])
    # Words are one line whatever is in them, which may be a client's; a traceback has many.
    assert re.fullmatch(rf"<155>{who}failure\\nof words", said[1])
    assert re.fullmatch(rf"<155>{who}Traceback.*", said[2])


def test_a_syslog_daemon_that_is_not_there_stops_nothing(tmp_path: Path) -> None:
    set_up_logging(str(tmp_path / "file"), 0, True, Syslog("till", "user", str(tmp_path / "none")))
    logging.getLogger("pool").info("event")

    written()
    assert (tmp_path / "file").read_text().endswith("LOG event\n")


class SlowTarget:
    """Takes nothing before it is told to."""

    def __init__(self) -> None:
        self.asked, self.allowed = threading.Event(), threading.Event()
        self.taken = ""

    def write(self, text: str) -> None:
        self.asked.set()
        assert self.allowed.wait(10)
        self.taken += text

    def close(self) -> None:
        self.taken += "closed\n"


def test_lines_that_nobody_takes_are_dropped_and_counted() -> None:
    target = SlowTarget()
    outbox = Outbox([target], waiting_max=30)
    log = logging.Logger("pool")
    log.addHandler(outbox)

    log.info("in the hands of the target")
    assert target.asked.wait(10)
    for number in range(10):
        log.info("line %d of ten", number)
    target.allowed.set()
    outbox.close()

    lines = target.taken.splitlines()
    assert lines[:3] == ["in the hands of the target", "line 0 of ten", "line 1 of ten"]
    assert lines[3].startswith("8 log lines were dropped")
    assert lines[4:] == ["closed"]


def test_a_log_that_nobody_reads_does_not_stop_the_pool(
    postgres: LocalServer, tmp_path: Path
) -> None:
    """Its standard error is a pipe that is full long before the last of these clients comes."""
    ini = tmp_path / "pool.ini"
    (tmp_path / "users.txt").write_text(f'"{postgres.user}" "{postgres.password}"\n')
    ini.write_text(
        f"[databases]\n* = host={postgres.host} port={postgres.port}\n"
        "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = 0\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {tmp_path / 'users.txt'}\npool_mode = transaction\n"
    )
    command = [sys.executable, "-m", "trio_pool", str(ini)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, bufsize=0) as pool:
        assert pool.stderr is not None
        try:
            port = int(port_in(pool.stderr.fileno()))
            for _ in range(1_500):
                RawClient(("127.0.0.1", port), user=postgres.user).close()
            with RawClient(("127.0.0.1", port), user=postgres.user) as last:
                assert last.rows("select 'served'") == [("served",)]
        finally:
            pool.send_signal(signal.SIGINT)
            # It ends although nobody reads its last lines either.
            pool.wait(20)


def port_in(descriptor: int) -> bytes:
    """Read a log up to the line that names the port, and no further than needed."""
    said = b""
    while not (found := re.search(rb"listening on 127\.0\.0\.1:(\d+)\n", said)):
        more = os.read(descriptor, 4096)
        assert more, said
        said += more
    return found.group(1)


class Broken(logging.Handler):
    """Raises where the standard library does not look: before anything is emitted."""

    heard = 0

    def handle(self, record: logging.LogRecord) -> bool:
        self.heard += 1
        raise LookupError("no room in the archive")


@pytest.fixture
def broken() -> Iterator[Broken]:
    """The handler of a program that embeds the pool."""
    package, handler = logging.getLogger("trio_pool"), Broken()
    level = package.level
    package.addHandler(handler)
    package.setLevel(logging.DEBUG)
    yield handler
    package.setLevel(level)
    package.removeHandler(handler)


@pytest.mark.postgres
def test_a_handler_that_raises_ends_no_client(
    pool: StartPool, broken: Broken, capfd: pytest.CaptureFixture[str]
) -> None:
    running = pool(default_pool_size=1)
    for _ in range(2):
        with client_of(running) as client:
            client.rows("create temporary table t (n int)")
            assert client.rows("select 'served'") == [("served",)]
            assert [reply[0] for reply in client.say_goodbye()] == ["closed"]

    assert broken.heard > 2
    complaints = capfd.readouterr().err
    assert "LookupError: no room in the archive" in complaints
    for line in complaints.splitlines():
        if line.startswith("a handler of the log failed"):
            assert complaints.count(line) == 1


def test_a_record_names_the_line_that_was_logged(caplog: pytest.LogCaptureFixture) -> None:
    root = logging.getLogger()
    root.addHandler(caplog.handler)
    try:
        raise ValueError("a bug")
    except ValueError:
        Journal("pool").exception("it failed number=%d", 7)
    root.removeHandler(caplog.handler)

    [record] = caplog.records
    assert (record.name, record.getMessage()) == ("pool", "it failed number=7")
    assert record.filename == "test_logs.py"
    assert record.exc_info is not None and record.exc_info[0] is ValueError
