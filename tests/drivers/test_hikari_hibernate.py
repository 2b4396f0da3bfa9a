"""HikariCP, plain JDBC and Hibernate with their default settings: the example in `examples/jvm`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drivers.programs import EXAMPLES, built, on_the_jvm, scenarios_that_held

pytestmark = pytest.mark.drivers

HIKARI_HIBERNATE = on_the_jvm("jvm", "example.Main", EXAMPLES)


@pytest.fixture(scope="module")
def folder() -> Path:
    return built(HIKARI_HIBERNATE)


def test_hikari_and_hibernate_notice_nothing_of_the_pool(
    folder: Path, url: str, errands: str
) -> None:
    assert scenarios_that_held(HIKARI_HIBERNATE, folder, url, errands) == [
        "prepared statements",
        "a batch in a transaction",
        "a fetch size in a transaction",
        "an error and a rollback",
        "no connection was opened again",
        "hibernate: entities in batches",
        "hibernate: hql and criteria",
        "hibernate: locks and versions",
        "hibernate: scrolling and doWork",
        "hibernate: a violated constraint",
    ]
