"""Every snippet of docs/pytest.md runs as it stands there, in suites that are made of them."""

from __future__ import annotations

import os
import subprocess
import sys
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
ADVERSARIAL = "pytest.ini of an adversarial suite"
CHECKOUT = "test_checkout.py"
APART = (ON_TOP, ADVERSARIAL, CHECKOUT)

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def test_the_snippets_are_a_suite_that_passes(tmp_path: Path, postgres: LocalServer) -> None:
    files = {name: text for name, text in SNIPPETS.items() if name not in APART}

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


def test_the_adversarial_suite_is_told_what_the_page_says(
    tmp_path: Path, postgres: LocalServer
) -> None:
    outcome = run_suite(
        tmp_path,
        {"pytest.ini": SNIPPETS[ADVERSARIAL], CHECKOUT: SNIPPETS[CHECKOUT]},
        environment={"TRIO_POOL_TEST_POSTGRES": postgres.url()},
    )

    assert outcome.counts == {"passed": 2, "error": 1}, outcome.said
    assert snippets(PAGE, "text")[0] in outcome.said


SHELL = [line for text in snippets(PAGE, "sh") for line in text.splitlines()]
UNITTEST = """
import os, unittest, psycopg

class Case(unittest.TestCase):
    def test_it(self):
        with psycopg.connect(os.environ["DATABASE_URL"]) as client:
            self.assertEqual(client.execute("select 6 * 7").fetchone(), (42,))
"""


@pytest.mark.parametrize("line", SHELL)
def test_the_commands_of_the_page_run(line: str, tmp_path: Path, postgres: LocalServer) -> None:
    (tmp_path / "test_case.py").write_text(UNITTEST)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    done = subprocess.run(
        ["bash", "-c", line],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "DATABASE_URL": postgres.url()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "Ran 1 test" in done.stderr
