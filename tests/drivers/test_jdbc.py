"""pgjdbc with its default settings, and preparing at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drivers.programs import Program, built, scenarios_that_held

pytestmark = pytest.mark.drivers

PGJDBC = Program(
    folder="jdbc",
    tools=("java", "mvn"),
    build=(
        (
            "mvn",
            "-q",
            "-B",
            "package",
            "dependency:copy-dependencies",
            "-DoutputDirectory=target/lib",
        ),
    ),
    command=(
        "java",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        "target/classes:target/lib/*",
        "drivers.Main",
    ),
)


@pytest.fixture(scope="module")
def folder() -> Path:
    return built(PGJDBC)


def test_pgjdbc_notices_nothing_of_the_pool(folder: Path, url: str, errands: str) -> None:
    assert scenarios_that_held(PGJDBC, folder, url, errands) == [
        "default threshold",
        "threshold of one",
        "statements kept open",
        "small statement cache",
        "metadata",
        "altered table",
        "batches",
        "rewritten batches",
        "failing batch",
        "fetch size",
        "errors and savepoints",
        "session settings",
        "copy",
        "cancel",
        "notifications",
    ]
