"""Random conversations through a running pool, backends changing all the time.

The pool outlives the conversations: what one leaves behind the next one meets. The expectation
comes from the model server, which is itself compared with PostgreSQL elsewhere.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
import trio
from hypothesis import HealthCheck, given, settings

from tests.model.language import MAKE_TABLE
from tests.model.server import ModelServer
from tests.model.strategies import scripts
from tests.support.pooler import RunningPool, config_for, running_pool
from tests.support.raw import RawClient
from trio_pool.conform.adversaries import Rotation
from trio_pool.conform.client import Client
from trio_pool.conform.normalise import forgiving, normalised
from trio_pool.conform.random_scripts import Segment
from trio_pool.conform.replies import replies_in
from trio_pool.conform.script import Say
from trio_pool.conform.words import query
from trio_pool.embedded import LocalServer
from trio_pool.proof import Door

pytestmark = pytest.mark.postgres

CLIENTS = 2


@pytest.fixture(scope="module", params=[200, 2], ids=["roomy", "evicting"])
def lasting_pool(postgres: LocalServer, request: pytest.FixtureRequest) -> Iterator[RunningPool]:
    config = config_for(
        postgres,
        pool_mode="transaction",
        default_pool_size=2 * CLIENTS,
        max_prepared_statements=request.param,
    )
    with RawClient(
        (postgres.host, postgres.port),
        user=postgres.user,
        password=postgres.password,
        database=postgres.database,
    ) as root:
        root.ask(query("set client_min_messages = error; " + MAKE_TABLE))
    with running_pool(config, postgres) as pool:
        yield pool


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(script=scripts(clients=CLIENTS))
def test_a_random_conversation_is_what_one_private_server_would_have_said(
    script: list[Segment], lasting_pool: RunningPool
) -> None:
    trio.run(converse, script, lasting_pool)


async def converse(script: list[Segment], pool: RunningPool) -> None:
    """Play the script, comparing at every step with a private model server for each client."""
    models = [ModelServer() for _ in range(CLIENTS)]
    clients: dict[int, Client] = {}
    door = Door(
        host=pool.host,
        port=pool.port,
        user=pool.user,
        password=pool.password,
        database=pool.database,
    )
    rotation = Rotation(functools.partial(Client.open, door), CLIENTS)
    try:
        for segment in script:
            index = segment.client
            if index not in clients:
                clients[index] = await Client.open(door)
            if all(client.at_rest for client in clients.values()):
                await rotation.before(Say(index, segment.data))
            expected = replies_in(models[index].feed(segment.data))
            ready = sum(reply[0] == "Z" for reply in expected)
            wanted = normalised(expected)
            seen = normalised(await clients[index].ask(segment.data, "Z" * ready))

            assert forgiving(wanted, seen) == wanted, segment.data
    finally:
        await rotation.dismiss()
        for client in clients.values():
            client.close()
