"""Every snippet of docs/pytest.md runs as it stands there, in suites that are made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.snippets import snippets
from tests.support.suites import run_suite
from trio_pool.embedded import LocalServer

PAGE = "docs/pytest.md"
# By their first lines, which say where each belongs.
SNIPPETS = {
    text.partition("\n")[0].removeprefix("# "): text
    for language in ("python", "ini")
    for text in snippets(PAGE, language)
}
ON_TOP = "conftest.py of a suite with pytest-postgresql"

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def test_the_snippets_are_a_suite_that_passes(tmp_path: Path, postgres: LocalServer) -> None:
    files = {name: text for name, text in SNIPPETS.items() if name != ON_TOP}

    outcome = run_suite(
        tmp_path,
        files,
        plugins=("pytest_asyncio.plugin", "pytest_trio.plugin", "trio_pool.pytest_plugin"),
        environment={"TRIO_POOL_TEST_POSTGRES": postgres.url()},
    )

    assert outcome.counts == {"passed": 4}, outcome.said


def test_the_snippet_for_another_plugin_is_right(tmp_path: Path, postgres: LocalServer) -> None:
    test = "def test_it(client):\n    client.execute('select 1')\n"

    outcome = run_suite(
        tmp_path,
        {"conftest.py": SNIPPETS[ON_TOP], "test_it.py": test},
        f"--postgresql-host={postgres.host}",
        f"--postgresql-port={postgres.port}",
        f"--postgresql-user={postgres.user}",
        f"--postgresql-password={postgres.password}",
        plugins=("pytest_postgresql.plugin", "trio_pool.pytest_plugin"),
    )

    assert outcome.counts == {"passed": 1}, outcome.said
