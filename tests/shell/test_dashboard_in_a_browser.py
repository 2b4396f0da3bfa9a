"""The dashboard in Chromium: what it draws, how one logs in, and what its buttons do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import unavailable
from tests.support.browser import Tab, chromium, open_tab
from tests.support.console import OPERATOR, PASSWORD, WATCHER, Operated, serving
from tests.support.web import place_of
from trio_pool.embedded import LocalServer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

HOSTILE = "<img src=x onerror=document.title='owned'>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Tab]:
    program = chromium()
    if program is None:
        unavailable("Chromium is not installed")
    with open_tab(program) as tab:
        yield tab


@pytest.fixture
def served(tmp_path: Path, postgres: LocalServer) -> Iterator[Operated]:
    made = Operated(tmp_path, postgres)
    made.settings |= {"http_listen_addr": "127.0.0.1", "http_listen_port": "0"}
    place = f"host={postgres.host} port={postgres.port}"
    made.databases[f'"{HOSTILE}"'] = f"{place} dbname=postgres"
    with serving(made):
        yield made


@pytest.fixture
def page(browser: Tab, served: Operated) -> Iterator[Tab]:
    """The page as it is shown to whoever comes; its scripts have nothing to complain of."""
    assert served.serving is not None
    host, port = place_of(served.serving)
    browser.go(f"http://{host}:{port}/")
    browser.wait_until("document.querySelector('#state').textContent == 'serving'")
    yield browser
    assert browser.errors == []


def log_in(page: Tab, user: str, password: str = PASSWORD) -> None:
    page.ask(f"""(() => {{
        document.querySelector('#login').click();
        document.querySelector('#user').value = {user!r};
        document.querySelector('#password').value = {password!r};
        document.querySelector('#enter').click();
    }})()""")


def test_clients_and_backends_are_drawn_as_they_come(served: Operated, page: Tab) -> None:
    assert "No client has come yet" in str(page.ask("document.body.innerText"))
    with served.client() as client:
        client.execute("create temp table mine (a int)")
        page.wait_until("document.querySelectorAll('.box.pinned').length == 1")
        page.wait_until("document.querySelectorAll('.dot.pinned').length == 1")
        drawn = str(page.ask("document.querySelector('#pools').innerText"))
        assert "1 clients served, 0 idle, 0 waiting · 1 of 2 backends" in drawn
        assert "create temp table" not in str(page.ask("document.body.innerText"))
        client.execute("drop table mine")
        page.wait_until("document.querySelectorAll('.box.idle').length == 1")


def test_a_name_is_a_text_whatever_it_looks_like(served: Operated, page: Tab) -> None:
    with served.client(HOSTILE.replace("'", "%27").replace(" ", "%20")) as client:
        client.execute("select 1")
        page.wait_until("document.querySelector('#pools b') !== null")

    assert page.ask("document.querySelector('#pools b').textContent") == HOSTILE
    assert page.ask("document.querySelector('#pools img')") is None
    assert page.ask("document.title") == "trio-pool"


def test_an_administrator_logs_in_holds_everything_up_and_lets_it_go(
    served: Operated, page: Tab
) -> None:
    assert page.ask("document.querySelector('#orders').hidden") is True
    log_in(page, OPERATOR)
    page.wait_until("!document.querySelector('#orders').hidden")
    page.wait_until("!document.querySelector('#details').hidden")

    page.ask("document.querySelector('#orders [data-order=PAUSE]').click()")
    page.wait_until("document.querySelector('#state').textContent == 'paused'")
    assert served.row("STATE", key="paused")["value"] == "yes"
    page.ask("document.querySelector('#orders [data-order=RESUME]').click()")
    page.wait_until("document.querySelector('#state').textContent == 'serving'")

    page.ask("document.querySelector('#logout').click()")
    page.wait_until("document.querySelector('#orders').hidden")
    page.wait_until("document.querySelector('#details').hidden")


def test_who_may_look_sees_what_is_pinned_and_has_no_buttons(served: Operated, page: Tab) -> None:
    with served.client() as client:
        client.execute("select pg_advisory_lock(7)")
        log_in(page, WATCHER)
        page.wait_until("document.querySelector('#pinned').innerText.includes('advisory lock')")

    assert page.ask("document.querySelector('#orders').hidden") is True
    assert page.ask("document.querySelectorAll('.pool button').length") == 0


def test_a_wrong_password_is_said_in_the_dialog(page: Tab) -> None:
    log_in(page, OPERATOR, "wrong")
    page.wait_until("document.querySelector('#refused').textContent != ''")

    assert page.ask("document.querySelector('#ask').open") is True
