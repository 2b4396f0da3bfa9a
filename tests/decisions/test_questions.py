"""Where the question for a client's settings travels: behind its own bytes wherever it can."""

from __future__ import annotations

import pytest

from tests.support.relays import a_relay
from trio_pool.conform.words import (
    FLUSH,
    SYNC,
    bind,
    describe_portal,
    execute,
    once,
    parse,
    query,
    run,
)
from trio_pool.relay import BackendState, Relay, attach, take_from_client
from trio_pool.settings import BackendSettings

SET = "set work_mem = '5MB'"
CONFIG = "select set_config($1, $2, false)"


def relay_on_a_backend() -> Relay:
    relay = a_relay()
    attach(relay, BackendState(200, BackendSettings({})))
    return relay


def asked_behind(*chunks: bytes) -> bool:
    """Whether the server is asked with these words of the client, and behind all of them."""
    relay = relay_on_a_backend()
    for chunk in chunks:
        take_from_client(relay, chunk)
    sent = relay.to_server.take()
    if b"pg_settings" not in sent:
        return False
    assert sent.startswith(b"".join(chunks))
    return True


TOGETHER = {
    "query": [query(SET)],
    "set_config in a query": [query("select set_config('work_mem', '5MB', false)")],
    "extended": [once(SET) + SYNC],
    "with parameters": [once(CONFIG, "work_mem", "5MB") + SYNC],
    "described": [parse("", SET) + bind("") + describe_portal() + execute() + SYNC],
    "in two parts": [parse("", SET), bind("") + execute() + SYNC],
}


@pytest.mark.parametrize("chunks", TOGETHER.values(), ids=TOGETHER)
def test_a_statement_that_sets_alone_takes_the_question_along(chunks: list[bytes]) -> None:
    assert asked_behind(*chunks)


APART = {
    "in a block": [query(f"begin; {SET}")],
    "after begin": [once("begin") + once(SET) + SYNC],
    "before begin": [once(SET) + once("begin") + SYNC],
    "behind an open question": [once("begin") + SYNC, once(SET) + SYNC],
    "before more": [once(SET) + SYNC + once("select 1") + SYNC],
    "flushed": [once(SET) + FLUSH],
    "prepared before, without an answer": [parse("", CONFIG) + SYNC, run("", "a", "b") + SYNC],
    "nothing that sets": [once("select 1") + SYNC],
}


@pytest.mark.parametrize("chunks", APART.values(), ids=APART)
def test_where_a_transaction_may_be_open_nothing_is_asked_at_once(chunks: list[bytes]) -> None:
    assert not asked_behind(*chunks)
