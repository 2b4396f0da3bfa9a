"""tokio-postgres with its default settings, alone and in a deadpool."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drivers.programs import Program, built, scenarios_that_held

pytestmark = pytest.mark.drivers

TOKIO_POSTGRES = Program(
    folder="rust",
    tools=("cargo",),
    build=(("cargo", "build", "--quiet"),),
    command=("target/debug/driver-test-tokio-postgres",),
    # Only the program is kept: what it was made of is a hundred times its size.
    discard=tuple(f"target/debug/{name}" for name in ("deps", "build", ".fingerprint")),
)


@pytest.fixture(scope="module")
def folder() -> Path:
    return built(TOKIO_POSTGRES)


def test_tokio_postgres_notices_nothing_of_the_pool(folder: Path, url: str, errands: str) -> None:
    assert scenarios_that_held(TOKIO_POSTGRES, folder, url, errands) == [
        "statements prepared once",
        "statements prepared for each query",
        "type lookup",
        "deadpool",
        "pipelined queries",
        "portals",
        "errors and savepoints",
        "copy",
        "cancel",
    ]
