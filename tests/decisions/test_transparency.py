"""What a client sees through the relay is what one private server would have shown it.

For any conversation of clients who use the same few names, any cutting of the streams, any order
in which both sides are heard, and any choice of backend at each transaction boundary.
"""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from protocol.frontend import (
    bind,
    describe_portal,
    describe_statement,
    execute,
    flush,
    parse,
    query,
    sync,
)
from tests.model.relayed import ModelPool
from tests.model.server import ModelServer
from tests.model.strategies import scripts
from trio_pool.conform.normalise import forgiving, normalised
from trio_pool.conform.random_scripts import Segment
from trio_pool.conform.replies import Reply, replies_in

CLIENTS = 2

# The portal of a PREPARE that failed is used again after its transaction; meanwhile a Parse took
# the name that the PREPARE would have.
PORTAL_OUTLIVED = [
    Segment(0, parse(b"t", b"prepare a as select * from nowhere") + sync()),
    Segment(
        0,
        bind(statement=b"t")
        + execute()
        + sync()
        + parse(b"a", b"select 'one'")
        + execute()
        + sync()
        + parse(b"a", b"select 'one'")
        + sync(),
    ),
]

# The transaction fails on a backend that has not prepared what the same Query executes next.
EXECUTED_BEHIND_THE_END = [
    Segment(0, parse(b"a", b"select 'one'") + sync()),
    Segment(0, query(b"begin")),
    Segment(0, parse(b"a", b"select 'two'") + sync()),
    Segment(0, query(b"commit; execute a")),
]

# What has no rows is described in a failed transaction, although it cannot be prepared there.
DESCRIBED_AFTER_FAILURE = [
    Segment(0, parse(b"t", b"begin") + parse(b"", b"execute nobody") + sync()),
    Segment(0, bind(statement=b"t") + execute() + parse(b"t", b"begin") + sync()),
    Segment(0, describe_statement(b"") + sync()),
]

# What was prepared for a DEALLOCATE is of no use any more when its statement becomes another.
DEALLOCATED_AT_ONCE = [
    Segment(0, parse(b"", b"select 'one'") + sync()),
    Segment(
        0,
        parse(b"", b"select 'one'")
        + sync()
        + parse(b"b", b"select 'one'")
        + parse(b"a", b"select 'one'")
        + parse(b"", b"deallocate a")
        + bind()
        + execute()
        + sync(),
    ),
]

# While one text is described under a second name its copy is closed to make room, and replayed.
DESCRIBED_AND_REPLAYED = [
    Segment(0, parse(b"a", b"select 'two'") + sync()),
    Segment(
        0,
        parse(b"b", b"select 'two'")
        + parse(b"t", b"deallocate a")
        + describe_portal(b"c")
        + describe_statement(b"b")
        + sync(),
    ),
]

# The name is taken; a Bind behind that has its statement prepared once more, which is skipped.
TAKEN_AND_BOUND = [
    Segment(
        0,
        parse(b"t", b"execute b ('x')")
        + parse(b"b", b"select $1::text")
        + parse(b"t", b'execute "a"')
        + bind(statement=b"t")
        + sync()
        + parse(b"t", b"prepare a as select * from nowhere")
        + sync(),
    ),
]

# A Query drops the unnamed statement, wherever it is.
DROPPED_BY_A_QUERY = [
    Segment(0, parse(b"", b"select 'one'") + sync()),
    Segment(0, query(b"select 'two'")),
    Segment(0, bind() + execute() + sync()),
]

# Silence behind each Flush: the first segment may end there, the second one may not.
FLUSHED_AND_SILENT = [
    Segment(0, parse(b"a", b"select 'one'") + flush() + bind(statement=b"a") + execute() + sync()),
    Segment(0, parse(b"", b"select 'two'") + bind() + flush() + execute() + sync()),
]

# DISCARD ALL is committed at once; what fails behind it takes nothing back.
DISCARDED_AND_FAILED = [
    Segment(0, query(b"set application_name = 'me'")),
    Segment(0, parse(b"", b"discard all") + sync()),
    Segment(0, bind() + execute() + bind(statement=b"t") + execute() + sync()),
]

choices = st.lists(st.integers(0, 30), max_size=12)


def shown(data: bytes, parameters: dict[str, str]) -> tuple[Reply, ...]:
    """The messages a client was shown; the settings reported on the way are noted."""
    replies = replies_in(data)
    for reply in replies:
        if reply[0] == "S":
            parameters[str(reply[1])] = str(reply[2])
    return normalised(replies)


def compare(script: list[Segment], pool: ModelPool) -> None:
    """Play the script through the pool and on private servers, and compare at every step."""
    private = [ModelServer() for _ in range(CLIENTS)]
    expected_settings: list[dict[str, str]] = [{} for _ in range(CLIENTS)]
    seen_settings: list[dict[str, str]] = [{} for _ in range(CLIENTS)]
    for segment in script:
        client = segment.client
        expected = shown(private[client].feed(segment.data), expected_settings[client])
        seen = shown(pool.says(client, segment.data), seen_settings[client])

        assert forgiving(expected, seen) == expected, f"client {client} said {segment.data!r}"
        assert pool.mistakes() == [], f"after client {client} said {segment.data!r}"
    for client in range(CLIENTS):
        for name, value in expected_settings[client].items():
            assert seen_settings[client].get(name, value) == value


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(script=scripts(clients=CLIENTS), choices=choices)
@example(script=PORTAL_OUTLIVED, choices=[])
@example(script=DROPPED_BY_A_QUERY, choices=[])
@example(script=EXECUTED_BEHIND_THE_END, choices=[0])
@example(script=DESCRIBED_AFTER_FAILURE, choices=[])
@example(script=FLUSHED_AND_SILENT, choices=[1])
@example(script=DISCARDED_AND_FAILED, choices=[])
def test_a_client_sees_one_private_server(script: list[Segment], choices: list[int]) -> None:
    compare(script, ModelPool(CLIENTS, backends=CLIENTS + 1, choices=choices))


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(script=scripts(clients=CLIENTS), choices=choices)
@example(script=DESCRIBED_AND_REPLAYED, choices=[25, 0])
@example(script=TAKEN_AND_BOUND, choices=[23])
def test_a_client_sees_one_private_server_when_backends_keep_one_statement(
    script: list[Segment], choices: list[int]
) -> None:
    compare(script, ModelPool(CLIENTS, CLIENTS + 1, choices, statements_max=1))


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(script=scripts(clients=CLIENTS), choices=choices)
@example(script=DEALLOCATED_AT_ONCE, choices=[0, 0, 1])
def test_no_statement_is_left_on_a_backend_unknown(
    script: list[Segment], choices: list[int]
) -> None:
    pool = ModelPool(CLIENTS, CLIENTS + 1, choices)

    for segment in script:
        pool.says(segment.client, segment.data)

    assert pool.leaks() == []
