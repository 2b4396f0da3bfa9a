"""Go's database/sql with pgx and with lib/pq, default settings: the example in `examples/go`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drivers.programs import EXAMPLES, Program, built, scenarios_that_held

pytestmark = pytest.mark.drivers

DATABASE_SQL = Program(
    folder="go",
    under=EXAMPLES,
    tools=("go",),
    build=(("go", "build", "-o", "program", "."),),
    command=("./program",),
)


@pytest.fixture(scope="module")
def folder() -> Path:
    return built(DATABASE_SQL)


def test_database_sql_notices_nothing_of_the_pool(folder: Path, url: str, errands: str) -> None:
    assert scenarios_that_held(DATABASE_SQL, folder, url, errands) == [
        "pgx: prepared statements",
        "pgx: transactions",
        "pgx: queries with values",
        "pgx: errors",
        "lib/pq: prepared statements",
        "lib/pq: transactions",
        "lib/pq: queries with values",
        "lib/pq: errors",
        "lib/pq: copy",
        "lib/pq: notifications",
    ]
