"""What a client says, read on the way past, however its bytes are cut into chunks."""

from __future__ import annotations

import pytest

from protocol import frontend
from trio_pool.overheard import Overheard, Said

BIG = bytes(200_000)
CONVERSATION = (
    frontend.query(b"select 1")
    + frontend.parse(b"s1", b"select $1")
    + frontend.bind(statement=b"s1", portal=b"p", parameters=[BIG])
    + frontend.execute()
    + frontend.sync()
    + frontend.copy_data(BIG)
    + frontend.copy_done()
    + frontend.close_statement(b"s1")
    + frontend.flush()
    + frontend.close_portal(b"p")
    + frontend.parse(b"", b"select 2")
    + frontend.terminate()
)
HEARD = [
    Said(ord("Q"), text=b"select 1"),
    Said(ord("P"), b"s1", b"select $1"),
    Said(ord("B"), b"s1"),
    Said(ord("E")),
    Said(ord("S")),
    # That of the portal: a name is closed, and flushed, without a backend.
    Said(ord("C")),
    Said(ord("P"), b"", b"select 2"),
]


@pytest.mark.parametrize("size", [len(CONVERSATION), 65_536, 1_000, 7, 1])
def test_the_same_is_heard_in_chunks_of_every_size(size: int) -> None:
    overheard = Overheard()

    found = [
        said
        for start in range(0, len(CONVERSATION), size)
        for said in overheard.hear(CONVERSATION[start : start + size])
    ]

    assert found == HEARD
