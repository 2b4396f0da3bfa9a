"""Prisma with its default settings: the example in `examples/prisma`.

Limit: its client only. What changes the schema (`prisma migrate`, `prisma db push`) is a program
that Prisma's packages do not contain but download, from a place that a test machine may not reach.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drivers.programs import EXAMPLES, Program, built, scenarios_that_held

pytestmark = pytest.mark.drivers

PRISMA = Program(
    folder="prisma",
    under=EXAMPLES,
    tools=("node", "npm"),
    build=(
        ("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"),
        # Why: it would download that program here, too, although it makes the client without it.
        ("env", "PRISMA_SCHEMA_ENGINE_BINARY=/bin/true", "npx", "prisma", "generate"),
        ("npm", "prune", "--ignore-scripts", "--omit=dev", "--omit=peer", "--omit=optional"),
    ),
    command=("node", "main.js"),
)


@pytest.fixture(scope="module")
def folder() -> Path:
    return built(PRISMA)


def test_prisma_notices_nothing_of_the_pool(folder: Path, url: str, errands: str) -> None:
    assert scenarios_that_held(PRISMA, folder, url, errands) == [
        "creating and finding",
        "nested writes and relations",
        "interactive transactions",
        "transactions as lists",
        "raw queries",
        "errors",
    ]
