"""The dashboard as a browser meets it: its pages, its events, its logins and its orders."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.support.console import OPERATOR, PASSWORD, STRANGER, WATCHER, Operated, serving
from tests.support.web import PATIENCE_SECONDS, Page, ask, place_of
from trio_pool.embedded import LocalServer
from trio_pool.web.logins import is_here, is_plain_host

pytestmark = pytest.mark.postgres

Json = dict[str, object]


class Browser:
    """Keeps a cookie and a token as a browser and our page do."""

    def __init__(self, served: Operated) -> None:
        assert served.serving is not None
        self.pool = served.serving
        self.cookie = ""
        self.token = ""

    def get(self, path: str, **headers: str) -> Page:
        return ask(self.pool, path, headers=[("cookie", self.cookie), *headers.items()])

    def post(self, path: str, token: str | None = None, **body: str) -> Page:
        said = [("cookie", self.cookie), ("x-csrf-token", self.token if token is None else token)]
        return ask(self.pool, path, "POST", body, said)

    def log_in(self, user: str, password: str = PASSWORD) -> Page:
        page = self.post("/api/login", user=user, password=password)
        if page.status == 200:
            self.cookie = page.headers["set-cookie"].partition(";")[0]
            self.token = str(cast("Json", page.data)["token"])
        return page

    def picture(self) -> Json:
        return cast("Json", self.get("/api/now").data)


@pytest.fixture
def served(tmp_path: Path, postgres: LocalServer) -> Iterator[Operated]:
    made = Operated(tmp_path, postgres)
    made.settings |= {"http_listen_addr": "127.0.0.1", "http_listen_port": "0"}
    with serving(made):
        yield made


@pytest.fixture
def browser(served: Operated) -> Browser:
    return Browser(served)


def test_the_page_is_there_with_all_it_needs_and_nothing_from_elsewhere(browser: Browser) -> None:
    page = browser.get("/")
    files = [browser.get(path) for path in ("/app.js", "/style.css")]

    assert page.status == 200
    assert [file.status for file in files] == [200, 200]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "//" not in page.text.replace("<!doctype html>", "")


def test_events_bring_one_picture_after_the_other(served: Operated, browser: Browser) -> None:
    connection = http.client.HTTPConnection(*place_of(browser.pool), timeout=PATIENCE_SECONDS)
    connection.request("GET", "/events")
    stream = connection.getresponse()
    assert stream.headers["content-type"] == "text/event-stream"

    def next_picture() -> Json:
        line = stream.readline()
        assert line.startswith(b"data: ")
        assert stream.readline() == b"\n"
        return cast("Json", json.loads(line.removeprefix(b"data: ")))

    first = next_picture()
    with served.client() as client:
        client.execute("select 1")
        while next_picture()["transactions"] == first["transactions"]:
            pass
    connection.close()


def test_a_pool_is_drawn_with_who_holds_what(served: Operated, browser: Browser) -> None:
    with served.client() as client, served.client():
        client.execute("begin")
        (pool,) = cast("list[Json]", browser.picture()["pools"])
        client.execute("rollback")

    (backend,) = cast("list[Json]", pool["backends"])
    assert (pool["database"], pool["active"], pool["idle"]) == ("postgres", 1, 1)
    assert (backend["state"], backend["client"] is not None) == ("active", True)


def test_without_a_login_nobody_reads_what_clients_say(served: Operated, browser: Browser) -> None:
    with served.client() as client:
        client.execute("select 'a private matter'", prepare=True)
        client.execute("create temp table private_matter (a int)")
        text = browser.get("/api/now").text

    assert "private" not in text
    assert cast("Json", json.loads(text))["detailed"] is False


def test_who_may_look_sees_texts_and_no_secrets(served: Operated, browser: Browser) -> None:
    assert browser.log_in(WATCHER).status == 200
    with served.client() as client:
        client.execute("set search_path = 'a_private_value'")
        client.execute("select 'a statement'", prepare=True)
        client.execute("create temp table mine (a int)")
        picture = browser.picture()

    (pin,) = cast("list[Json]", picture["pinned"])
    assert pin["reason"] == "temporary objects"
    assert "select 'a statement'" in json.dumps(picture["statements"])
    assert "search_path" in json.dumps(picture["changed"])
    assert {"setting": "pool_mode", "value": "transaction"} in cast(
        "list[Json]", picture["configured"]
    )
    for secret in ("a_private_value", PASSWORD, served.postgres.password):
        assert secret not in json.dumps(picture)


def test_a_text_that_was_read_in_two_ways_is_one_line(served: Operated, browser: Browser) -> None:
    # A client with another setting has a statement of its own on the server, of the same text.
    browser.log_in(WATCHER)
    with served.client() as one, served.client() as two:
        two.execute("set statement_timeout = '50s'")
        for client in (one, two):
            client.execute("select 'both of us'", prepare=True)
        rows = [row for row in served.show("PREPARED") if "both of us" in str(row["statement"])]
        (line,) = [
            line
            for line in cast("list[Json]", browser.picture()["statements"])
            if line["statement"] == "select 'both of us'"
        ]

    assert len(rows) == 2
    assert line["clients"] == 2
    assert line["backends"] == len({row["server_id"] for row in rows})


def test_who_listens_for_others_is_no_backend_of_the_pool(
    served: Operated, browser: Browser
) -> None:
    with served.client() as client:
        client.execute("listen orders")
        deadline = time.monotonic() + PATIENCE_SECONDS
        ears: list[dict[str, object]] = []
        while not ears and time.monotonic() < deadline:
            ears = [row for row in served.show("CHANNELS") if row["server_id"] is not None]
        (channel,) = ears
        (pool,) = cast("list[Json]", browser.picture()["pools"])

    states = {b["number"]: b["state"] for b in cast("list[Json]", pool["backends"])}
    assert states[channel["server_id"]] == "listens"


@pytest.mark.parametrize(
    ("user", "password"),
    [(OPERATOR, "wrong"), (OPERATOR, ""), (STRANGER, PASSWORD), ("nobody at all", PASSWORD)],
)
def test_a_login_that_is_not_right_is_refused(browser: Browser, user: str, password: str) -> None:
    page = browser.log_in(user, password)

    assert (page.status, "set-cookie" in page.headers) == (401, False)
    assert page.text == "password authentication failed\n"


@pytest.mark.parametrize("kind", ["md5", "scram"])
def test_a_stored_form_of_the_password_serves_as_well(
    served: Operated, browser: Browser, kind: str
) -> None:
    from protocol.scram import make_verifier
    from protocol.stored_secrets import md5_secret

    name, password = OPERATOR.encode(), PASSWORD.encode()
    stored = (
        md5_secret(name, password).text
        if kind == "md5"
        else make_verifier(password, b"salt" * 4).encode()
    )
    served.secrets[OPERATOR] = stored.decode()
    served.write()
    served.secrets[OPERATOR] = PASSWORD
    with served.client("pgbouncer", OPERATOR) as console:
        console.execute("RELOAD")

    assert browser.log_in(OPERATOR).status == 200
    assert browser.log_in(OPERATOR, "wrong").status == 401


@pytest.mark.parametrize(
    "body", [b'{"user": "\\ud800", "password": "\\ud800"}', b"[" * 10_000, b"\xff"]
)
def test_a_login_that_is_no_text_at_all_is_refused_like_any_other(
    browser: Browser, body: bytes
) -> None:
    connection = http.client.HTTPConnection(*place_of(browser.pool), timeout=PATIENCE_SECONDS)
    connection.request("POST", "/api/login", body, {"content-type": "application/json"})

    assert connection.getresponse().status in (400, 401)
    connection.close()


def test_passwords_cannot_be_tried_for_ever(browser: Browser) -> None:
    answers = [browser.log_in(OPERATOR, "wrong").status for _ in range(6)]

    assert answers == [401] * 5 + [429]
    assert browser.log_in(OPERATOR).status == 429


def test_the_cookie_is_for_the_browser_and_for_this_site_alone(browser: Browser) -> None:
    cookie = browser.log_in(OPERATOR).headers["set-cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_an_administrator_pauses_resumes_and_reloads(served: Operated, browser: Browser) -> None:
    browser.log_in(OPERATOR)
    with served.client() as client:
        client.execute("select 1")
        assert browser.post("/api/orders", order="PAUSE", database="postgres").text == "done\n"
        assert served.row("DATABASES", name="postgres")["paused"] == 1
        assert browser.post("/api/orders", order="RESUME", database="postgres").text == "done\n"
        client.execute("select 1")
    served.settings["default_pool_size"] = "7"
    served.write()
    assert browser.post("/api/orders", order="RELOAD").text == "done\n"
    assert served.row("CONFIG", key="default_pool_size")["value"] == "7"


def test_a_pause_that_takes_long_goes_on_by_itself(served: Operated, browser: Browser) -> None:
    browser.log_in(OPERATOR)
    with served.client() as client:
        client.execute("begin")
        assert browser.post("/api/orders", order="PAUSE").status == 202
        client.execute("commit")
        while not cast("Json", browser.picture()["state"])["paused"]:
            pass
        assert browser.post("/api/orders", order="RESUME").status == 200


def test_an_order_that_fails_says_why(browser: Browser) -> None:
    browser.log_in(OPERATOR)

    page = browser.post("/api/orders", order="RESUME")
    assert (page.status, page.text) == (409, "pooler is not paused/suspended\n")
    assert browser.post("/api/orders", order="SHUTDOWN").status == 400


def test_who_may_look_may_give_no_orders(browser: Browser) -> None:
    browser.log_in(WATCHER)

    assert browser.post("/api/orders", order="PAUSE").status == 403


def test_an_order_without_a_login_or_from_another_page_is_refused(browser: Browser) -> None:
    assert browser.post("/api/orders", order="PAUSE").status == 401
    browser.log_in(OPERATOR)
    assert browser.post("/api/orders", token="", order="PAUSE").status == 403
    assert browser.post("/api/orders", token="guessed", order="PAUSE").status == 403
    assert cast("Json", browser.picture()["state"])["paused"] is False


def test_after_a_logout_the_cookie_is_worth_nothing(browser: Browser) -> None:
    browser.log_in(OPERATOR)
    assert browser.picture()["detailed"] is True
    assert browser.post("/api/logout").status == 200
    assert browser.picture()["detailed"] is False
    assert browser.post("/api/orders", order="PAUSE").status == 401


def test_who_is_no_administrator_any_more_gives_no_more_orders(
    served: Operated, browser: Browser
) -> None:
    browser.log_in(OPERATOR)
    served.settings |= {"admin_users": "somebody_else", "stats_users": ""}
    served.write()
    assert browser.post("/api/orders", order="RELOAD").status == 200

    assert browser.post("/api/orders", order="PAUSE").status == 401


def test_another_sites_name_for_our_address_shows_nothing(browser: Browser) -> None:
    for path in ("/", "/api/now", "/events", "/api/session"):
        assert browser.get(path, host="evil.example:9127").status == 421


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9127", "127.0.0.1:9", "[::1]:9", "10.1.2.3"]
)
def test_an_address_is_a_host_to_show_the_page_under(host: str) -> None:
    assert is_plain_host(host)


@pytest.mark.parametrize(
    "host", ["", "evil.example", "127.0.0.1.evil.example:80", "localhost.evil.example"]
)
def test_a_name_is_not(host: str) -> None:
    assert not is_plain_host(host)


def test_passwords_are_taken_from_this_machine_only() -> None:
    assert is_here("127.0.0.1")
    assert is_here("::1")
    assert not is_here("192.0.2.1")
    assert not is_here("unknown")
