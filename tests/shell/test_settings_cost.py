"""What it costs that settings follow their client, counted in questions to the server."""

from __future__ import annotations

import pytest

from protocol import frontend
from tests.conftest import StartPool
from tests.support.pooler import RunningPool, client_of
from trio_pool.conform.words import SYNC, once


def query(text: str) -> bytes:
    return frontend.query(text.encode())


FREE = (
    "select 1",
    "set application_name = 'me'",
    "set datestyle = german",
    "set timezone to 'UTC'",
    "begin; set local work_mem = '5MB'; commit",
    "select set_config('app.tenant', '42', true)",
    "set transaction isolation level serializable",
)
ASKED = ("set work_mem = '5MB'", "select set_config('app.tenant', '42', false)", "reset all")


def questions(running: RunningPool) -> int:
    return running.serving.counters.questions


@pytest.mark.parametrize("text", FREE)
def test_what_the_server_reports_or_forgets_by_itself_is_not_asked_for(
    pool: StartPool, text: str
) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as client:
        client.ask(query(text))
        client.ask(query("select 1"))
        assert questions(running) == 0


@pytest.mark.parametrize("text", ASKED)
def test_anything_else_is_asked_for_once(pool: StartPool, text: str) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as client:
        client.ask(query(text))
        client.ask(once("select 1") + SYNC)
        assert questions(running) == 1


def test_nothing_is_restored_where_nothing_differs(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    with client_of(running, work_mem="5MB") as first, client_of(running, work_mem="5MB") as second:
        for _ in range(3):
            assert first.rows("show work_mem") == second.rows("show work_mem") == [("5MB",)]
        assert running.serving.counters.settings_restored == 0
        second.ask(query("set work_mem = '6MB'"))
        for _ in range(3):
            assert first.rows("show work_mem") == [("5MB",)]
            assert second.rows("show work_mem") == [("6MB",)]
        assert running.serving.counters.settings_restored == 6
