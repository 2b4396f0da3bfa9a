"""A client's relay by itself, before it has said anything, with a pool of its own."""

from __future__ import annotations

from protocol.sql.classify import Classifier
from trio_pool.relay import Counters, Relay
from trio_pool.settings import ClientSettings, Environments
from trio_pool.statements import ClientStatements, PoolStatements


def a_relay() -> Relay:
    """It holds no backend, and its client came without settings."""
    return Relay(
        ClientStatements(1 << 20),
        ClientSettings(Environments(), {}),
        PoolStatements("test"),
        Classifier(1 << 20),
        Counters(),
    )
