"""The model server answers what PostgreSQL answers, or it is worth nothing."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.model.language import MAKE_TABLE
from tests.model.server import ModelServer
from tests.model.strategies import chunk_sizes, scripts
from tests.support.raw import RawClient
from trio_pool.conform.normalise import normalised
from trio_pool.conform.random_scripts import Segment, chunked
from trio_pool.conform.replies import Reply, replies_in
from trio_pool.conform.words import SYNC, execute, once, parse, query, run
from trio_pool.embedded import LocalServer


def reported(replies: list[Reply]) -> list[Reply]:
    return sorted((reply for reply in replies if reply[0] == "S"), key=str)


@pytest.mark.postgres
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(script=scripts())
def test_the_model_answers_what_postgresql_answers(
    script: list[Segment], postgres: LocalServer
) -> None:
    model = ModelServer()
    address = postgres.host, postgres.port
    with RawClient(address, user=postgres.user, password=postgres.password) as real:
        real.ask(query("set client_min_messages = error; " + MAKE_TABLE + "; reset all"))
        for segment in script:
            expected = replies_in(model.feed(segment.data))
            ready = sum(reply[0] == "Z" for reply in expected)
            seen = real.ask(segment.data, "Z" * ready)

            assert normalised(expected) == normalised(seen), segment.data
            assert reported(expected) == reported(seen), segment.data


@given(script=scripts(), sizes=chunk_sizes)
def test_the_model_does_not_mind_how_its_bytes_are_cut(
    script: list[Segment], sizes: list[int]
) -> None:
    whole, cut = ModelServer(), ModelServer()

    for segment in script:
        said = b"".join(cut.feed(piece) for piece in chunked(segment.data, sizes))

        assert said == whole.feed(segment.data)


def test_the_model_keeps_statements_and_says_so() -> None:
    model = ModelServer()

    model.feed(parse("a", "select 'one'") + query("prepare b as select 'two'"))

    assert model.statement_names == {b"a", b"b"}
    model.feed(query("deallocate all"))
    assert model.statement_names == set()


def test_the_model_is_at_rest_only_between_transactions() -> None:
    model = ModelServer()

    assert model.at_rest
    model.feed(once("select 'unsynced'"))
    assert not model.at_rest
    model.feed(SYNC)
    assert model.at_rest
    model.feed(query("begin"))
    assert not model.at_rest
    model.feed(run("nobody") + execute() + SYNC + query("rollback"))
    assert model.at_rest
