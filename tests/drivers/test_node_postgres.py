"""node-postgres with its default settings: named queries and unnamed ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drivers.programs import Program, built, scenarios_that_held

pytestmark = pytest.mark.drivers

NODE_POSTGRES = Program(
    folder="node",
    tools=("node", "npm"),
    build=(("npm", "install", "--no-audit", "--no-fund"),),
    command=("node", "main.js"),
)


@pytest.fixture(scope="module")
def folder() -> Path:
    return built(NODE_POSTGRES)


def test_node_postgres_notices_nothing_of_the_pool(folder: Path, url: str, errands: str) -> None:
    assert scenarios_that_held(NODE_POSTGRES, folder, url, errands) == [
        "named queries",
        "parameterized queries and errors",
        "queries queued on one client",
        "several statements in one query",
        "a cursor in a transaction",
        "its own pool",
    ]
