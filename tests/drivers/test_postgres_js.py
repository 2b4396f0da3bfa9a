"""postgres.js with its default settings: the example in `examples/node`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drivers.programs import EXAMPLES, Program, built, scenarios_that_held

pytestmark = pytest.mark.drivers

POSTGRES_JS = Program(
    folder="node",
    under=EXAMPLES,
    tools=("node", "npm"),
    build=(("npm", "install", "--no-audit", "--no-fund"),),
    command=("node", "postgres_js.js"),
)


@pytest.fixture(scope="module")
def folder() -> Path:
    return built(POSTGRES_JS)


def test_postgres_js_notices_nothing_of_the_pool(folder: Path, url: str, errands: str) -> None:
    assert scenarios_that_held(POSTGRES_JS, folder, url, errands) == [
        "prepared statements",
        "transactions and savepoints",
        "a transaction that is taken back",
        "a pipeline in a transaction",
        "cursors",
        "helpers for inserts and lists",
        "copy",
        "errors",
        "notifications",
        "a query that is cancelled",
    ]
