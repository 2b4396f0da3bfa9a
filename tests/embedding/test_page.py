"""Every program of docs/embedding.md runs as it stands there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.snippets import snippets
from trio_pool.embedded import LocalServer

PROGRAMS = snippets("docs/embedding.md", "python")
# What each of them prints, in the order of the page.
PRINTS = ["(42,)", "no backend is open now: 0", "42", "this pool deletes nothing"]


@pytest.mark.postgres
@pytest.mark.parametrize(("program", "prints"), [*zip(PROGRAMS, PRINTS, strict=True)], ids=PRINTS)
def test_a_program_of_the_page_runs(program: str, prints: str, postgres: LocalServer) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "DATABASE_URL": postgres.url()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert prints in done.stdout
