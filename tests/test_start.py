"""What a newcomer does first, with nothing but Python: the README's first command.

It is carried out as it stands there, in a copy of the sources, with the packages that pip fetches.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conftest import unavailable
from tests.support.snippets import ROOT, blocks

PATIENCE_SECONDS = 300
COPIED = (".ci", "protocol", "trio_pool", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")


def first_command(page: str) -> str:
    """The one that this file runs."""
    (block,) = [block for block in blocks(page) if block.run_by == "tests/test_start.py"]
    return block.body.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The sources, without what lies about in a developer's clone."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.so", "form.txt")
            shutil.copytree(source, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(source, tmp_path / name)
    return tmp_path


@contextlib.contextmanager
def begun(command: str, clone: Path) -> Iterator[subprocess.Popen[str]]:
    """The command in a fresh virtual environment, gone at the end with all that it started."""
    environment = clone / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, timeout=60)
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("TRIO_POOL_")}
    process = subprocess.Popen(
        ["bash", "-c", command],
        cwd=clone,
        # Why pure: the compiler's minute is spent in test_wheels.py.
        env={
            **inherited,
            "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
            "TRIO_POOL_PURE": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_the_quickstart_begins_as_the_readme_does() -> None:
    assert first_command("docs/quickstart.md") == first_command("README.md")


@pytest.mark.slow
@pytest.mark.postgres
def test_the_first_command_leads_to_a_pool_that_answers(clone: Path) -> None:
    with begun(first_command("README.md"), clone) as process:
        assert process.stdout is not None
        said = []
        url = None
        for line in process.stdout:
            said.append(line)
            url = url or next(iter(re.findall(r"psql (postgresql://\S+)", line)), None)
            if "Ctrl-C ends it" in line:
                break
        else:
            if "Could not find a version" in "".join(said):
                unavailable(f"pip reaches no index:\n{''.join(said)}")
            pytest.fail("".join(said))
        assert url is not None
        with psycopg.connect(url) as client:
            assert client.execute("select 6 * 7").fetchone() == (42,)

        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=PATIENCE_SECONDS)

    assert "Every client found its own statements" in "".join(said)
    assert (process.returncode, "Traceback" in rest) == (0, False), rest
