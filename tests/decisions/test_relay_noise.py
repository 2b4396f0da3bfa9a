"""What servers and clients said to the relay that it was not ready for."""

from __future__ import annotations

import pytest

from fuzz import relay
from protocol import frontend

QUERY = frontend.query(b"select 1")
PARSE = frontend.parse(b"a", b"select 1") + frontend.sync()


@pytest.mark.parametrize(
    "turns",
    [
        pytest.param([(True, QUERY), (False, b"C\0\0\0\4")], id="a command without its tag"),
        pytest.param([(True, QUERY), (False, b"Z\0\0\0\4")], id="no status in ReadyForQuery"),
        pytest.param([(True, PARSE), (False, b"1\0\0\0\4Z\0\0\0\4")], id="nor behind a Parse"),
    ],
)
def test_a_server_that_says_less_than_it_must_breaks_the_protocol(turns: relay.Wild) -> None:
    relay.check(turns)
