"""How much is read at once is nobody's business: sizes at the edges of the wire's buffers."""

from __future__ import annotations

import pytest

from protocol import frontend
from tests.conftest import StartPool
from tests.support.pooler import client_of


@pytest.mark.parametrize("edge", [479, 16_384, 479 + 16_384, 262_144])
def test_answers_and_queries_of_any_length_arrive_whole(pool: StartPool, edge: int) -> None:
    running = pool(auth_type="trust", default_pool_size="1")
    with client_of(running) as client:
        for size in range(edge - 90, edge + 20, 1 if edge < 1000 else 9):
            # The answer is longer than its text by what frames it, and so is the query.
            assert client.rows(f"select repeat('x', {size})") == [("x" * size,)]
            assert client.rows(f"select length('{'y' * size}')") == [(str(size),)]


def test_a_pipeline_longer_than_any_read_is_answered_in_order(pool: StartPool) -> None:
    running = pool(auth_type="trust", default_pool_size="1")
    with client_of(running) as client:
        for length in (1, 400, 40_000, 1, 400, 1):
            texts = [f"select {number}, '{'z' * length}'" for number in range(20)]
            client.send(b"".join(frontend.query(text.encode()) for text in texts))
            answers = client.receive_until_ready(len(texts))
            rows = [reply[1:] for reply in answers if reply[0] == "D"]
            assert rows == [(b"%d" % number, b"z" * length) for number in range(20)]
