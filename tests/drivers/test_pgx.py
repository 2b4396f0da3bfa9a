"""pgx v5 in its default mode, which prepares and caches every query."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drivers.programs import Program, built, scenarios_that_held

pytestmark = pytest.mark.drivers

PGX = Program(
    folder="pgx",
    tools=("go",),
    build=(("go", "build", "-o", "program", "."),),
    command=("./program",),
)


@pytest.fixture(scope="module")
def folder() -> Path:
    return built(PGX)


def test_pgx_notices_nothing_of_the_pool(folder: Path, url: str, errands: str) -> None:
    assert scenarios_that_held(PGX, folder, url, errands) == [
        "cached statements",
        "statements prepared by name",
        "sql-level prepare",
        "batches",
        "failing batch",
        "errors and savepoints",
        "copy",
        "small statement cache",
        "altered table",
        "cancelled context",
        "its own pool",
    ]
