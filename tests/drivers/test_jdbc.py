"""pgjdbc with its default settings, and preparing at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drivers.programs import built, on_the_jvm, scenarios_that_held

pytestmark = pytest.mark.drivers

PGJDBC = on_the_jvm("jdbc", "drivers.Main")


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
