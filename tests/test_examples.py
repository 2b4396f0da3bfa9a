"""The examples run as they are and show what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SHOWS = {
    "pool_in_a_trio_program.py": ["(b'second', b'42')", "6 transactions on 1 backend"],
    "pool_for_a_test_suite.py": ["a program under test found postgresql://"],
    "pool_beside_asyncio.py": ["[0, 2, 4, 6, 8, 10, 12, 14, 16, 18] from", "10 texts began"],
    "survives_pooling.py": ["statement_timeout: set statement_timeout", "pg_advisory_lock(42)"],
    "django_application.py": ["20 orders, 60 umbrellas left", "20 customers shared"],
    "sqlalchemy_application.py": ["120 entries were read", "two engines shared"],
    "asyncpg_in_a_trio_program.py": [
        "[0, 2, 4, 6, 8, 10, 12, 14, 16, 18]",
        "10 tasks of Trio shared",
    ],
    "read_a_conversation.py": ["driver Parse(name=b's1'", "server DataRow(values=(b'42',))"],
}
# trio-asyncio uses what Python 3.12 calls deprecated and 3.14 no longer has.
OLD_ASYNCIO = "asyncpg_in_a_trio_program.py"


def test_every_example_is_run_and_listed() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SHOWS)

    listed = (EXAMPLES / "README.md").read_text()
    assert all(f"`{name}`" in listed for name in SHOWS)


@pytest.mark.postgres
@pytest.mark.parametrize("name", SHOWS)
def test_an_example_shows_what_it_says(name: str) -> None:
    if name == OLD_ASYNCIO and sys.version_info >= (3, 14):
        pytest.skip("trio-asyncio ends with Python 3.13")
    lenient = ("-W", "ignore::DeprecationWarning") if name == OLD_ASYNCIO else ()
    done = subprocess.run(
        [sys.executable, "-W", "error", *lenient, str(EXAMPLES / name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert all(text in done.stdout for text in SHOWS[name]), done.stdout
