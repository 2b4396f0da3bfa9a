"""The pictures of docs/: the dashboard and `top`, each of a pool under load.

`python -m tests.support.pictures` takes them anew. It wants PostgreSQL and Chromium, and is no
test: whoever takes pictures looks at them before they are committed.
"""

from __future__ import annotations

import contextlib
import fcntl
import html
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

from tests.support.browser import Tab, chromium, open_tab
from tests.support.console import OPERATOR, PASSWORD, Operated, serving
from tests.support.web import place_of
from trio_pool.embedded import LocalServer, local_postgres

DOCS = Path(__file__).parent.parent.parent / "docs"
# The curves need some seconds of load to show anything.
LOAD_SECONDS = 40
COLUMNS, LINES = 100, 22
# Of an SGR sequence: what it looks like on a page.
STYLES = {
    "1": "font-weight:600",
    "2": "color:#8d99a6",
    "7": "background:#e8edf2;color:#12161c",
    "31": "color:#ef7b7b",
    "32": "color:#57c98c",
    "33": "color:#e0c070",
    "34": "color:#5b95f5",
    "36": "color:#6cb8e6",
}


def accounts(served: Operated, stop: threading.Event, number: int) -> None:
    """A client with small transactions and thinking in between."""
    with psycopg.connect(served.url("shop"), prepare_threshold=0) as client:
        client.execute("set statement_timeout = '30s'" if number % 3 == 0 else "select 1")
        client.commit()
        while not stop.wait(0.05):
            account = number * 7 % 100
            client.execute("select balance from accounts where id = %s", [account])
            client.execute("update accounts set balance = balance + 1 where id = %s", [account])
            client.execute("select pg_sleep(0.04)")
            client.commit()


def reports(served: Operated, stop: threading.Event, number: int) -> None:
    """A client that asks for much and waits in line."""
    with psycopg.connect(served.url("reports"), prepare_threshold=0, autocommit=True) as client:
        while not stop.is_set():
            client.execute("select pg_sleep(0.6), count(*) from accounts where balance > %s", [9])


def pinned(served: Operated, stop: threading.Event, number: int) -> None:
    """Clients that keep their backend, or need not though they listen."""
    said = ("listen orders", "create temp table basket (item int)", "select pg_advisory_lock(7)")
    with psycopg.connect(served.url("shop"), autocommit=True) as client:
        client.execute(said[number % 3])
        stop.wait()


@contextlib.contextmanager
def load(served: Operated) -> Iterator[None]:
    """Thirty clients at work, gone at the end."""
    stop = threading.Event()
    kinds: list[tuple[Callable[[Operated, threading.Event, int], None], int]] = [
        (accounts, 20),
        (reports, 7),
        (pinned, 3),
    ]
    clients = [
        threading.Thread(target=work, args=(served, stop, number))
        for work, count in kinds
        for number in range(count)
    ]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        stop.set()
        for client in clients:
            client.join()


def dashboard(tab: Tab, served: Operated) -> None:
    """As an administrator sees it."""
    assert served.serving is not None
    host, port = place_of(served.serving)
    tab.go(f"http://{host}:{port}/")
    fields = {"#user": OPERATOR, "#password": PASSWORD}
    for name, text in fields.items():
        tab.ask(f"document.querySelector({json.dumps(name)}).value = {json.dumps(text)}")
    tab.ask("document.querySelector('#login').click()")
    tab.ask("document.querySelector('#enter').click()")
    tab.wait_until("!document.querySelector('#details').hidden")
    time.sleep(LOAD_SECONDS)
    (DOCS / "dashboard.png").write_bytes(tab.picture())


def top(tab: Tab, served: Operated) -> None:
    """As a terminal shows it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    url = served.url("pgbouncer", OPERATOR)
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "trio_pool", "top", url],
        stdout=theirs,
        stderr=theirs,
        env={**environment, "TERM": "xterm-256color"},
    )
    seen = b""
    # The first picture has no figures per second yet.
    while seen.count(b"\x1b[J") < 3:
        seen += os.read(ours, 65_536)
    process.terminate()
    process.wait()
    last = seen.decode().split("\x1b[J")[2].partition("\x1b[H")[2]
    shown = f"<pre>{_page(last)}</pre><style>{_STYLE}</style>"
    tab.go("about:blank")
    tab.ask(f"document.body.innerHTML = {json.dumps(shown)}")
    (DOCS / "top.png").write_bytes(tab.picture("pre"))


_STYLE = """
    pre { width: 830px; margin: 0; padding: 14px; font: 14px/1.35 monospace }
    pre { background: #12161c; color: #e8edf2 }
"""


def _page(text: str) -> str:
    """A picture of `top` as HTML: its colours, and none of its other orders to a terminal."""
    text = html.escape(re.sub(r"\x1b\[[0-9;?]*[A-ZA-ln-z]", "", text).replace("\r", ""))

    def style(found: re.Match[str]) -> str:
        codes = found[1].split(";")
        styles = ";".join(STYLES[code] for code in codes if code in STYLES)
        return f'</span><span style="{styles}">'

    return "<span>" + re.sub(r"\x1b\[([0-9;]*)m", style, text) + "</span>"


def made(postgres: LocalServer) -> None:
    """The databases that the clients work in."""
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        for name in ("shop", "reports"):
            admin.execute(f"create database {name}")
            with psycopg.connect(postgres.url(), dbname=name) as owner:
                owner.execute("create table accounts (id int primary key, balance int)")
                owner.execute("insert into accounts select i, 10 from generate_series(0, 99) i")


def main() -> None:
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(local_postgres())
        made(postgres)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        operated = Operated(folder, postgres)
        place = f"host={postgres.host} port={postgres.port}"
        operated.databases |= {"shop": f"{place} pool_size=12", "reports": f"{place} pool_size=4"}
        operated.settings |= {"http_listen_addr": "127.0.0.1", "http_listen_port": "0"}
        served = stack.enter_context(serving(operated))
        stack.enter_context(load(served))
        program = chromium()
        if program is None:
            sys.exit("Chromium is not installed")
        tab = stack.enter_context(open_tab(program))
        dashboard(tab, served)
        top(tab, served)


if __name__ == "__main__":
    main()
