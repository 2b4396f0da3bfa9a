"""sqlx with its default settings, migrations and a listener: the example in `examples/rust`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drivers.programs import EXAMPLES, Program, built, scenarios_that_held

pytestmark = pytest.mark.drivers

SQLX = Program(
    folder="rust",
    under=EXAMPLES,
    tools=("cargo",),
    build=(("cargo", "build", "--quiet"),),
    command=("target/debug/example-rust",),
    # Only the program is kept: what it was made of is a hundred times its size.
    discard=tuple(f"target/debug/{name}" for name in ("deps", "build", ".fingerprint")),
)


@pytest.fixture(scope="module")
def folder() -> Path:
    return built(SQLX)


def test_sqlx_notices_nothing_of_the_pool(folder: Path, url: str, errands: str) -> None:
    assert scenarios_that_held(SQLX, folder, url, errands) == [
        "migrations",
        "prepared statements",
        "transactions",
        "rows one by one",
        "errors",
        "notifications",
    ]
