"""Every command, file and program in README.md and docs/ works as it stands there.

The blocks of a page are one story: files are written, commands carried out in their order, and a
pool that a command starts serves those behind it. Users, databases and passwords are those of the
pages; places and ports are put in, because tests have none that are fixed.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import psycopg
import pytest
import yaml

from protocol import form
from tests.support.snippets import PAGES, ROOT, TOLD, Block, blocks
from trio_pool.config import load_config
from trio_pool.embedded import LocalServer

PATIENCE_SECONDS = 120
RUNNING = """\
[databases]
* = host=127.0.0.1 port=5432
[pgbouncer]
listen_addr = 127.0.0.1
unix_socket_dir =
auth_type = scram-sha-256
auth_file = userlist.txt
admin_users = user
pool_mode = transaction
"""
SERVES = re.compile(r"trio-pool (run )?(postgresql://|\S+\.ini)")


def story(page: str) -> list[Block]:
    """What is to be carried out of a page."""
    return [
        block
        for block in blocks(page)
        if block.language in TOLD and not (block.excuse or block.run_by)
    ]


STORIES = [page for page in PAGES if story(page)]


@attrs.define
class Teller:
    """Carries out the blocks of one page, in a folder of its own."""

    server: LocalServer
    folder: Path
    port: int = 0
    serving: list[subprocess.Popen[str]] = attrs.field(factory=list)

    def tell(self, block: Block) -> None:
        """One block."""
        if block.name is not None:
            self._write(block.name, block.body)
        elif block.language == "python":
            self._run([sys.executable, "-W", "error", "-c", self._placed(block.body)])
        else:
            assert block.language == "sh", "a file needs its name in its first line"
            for line in block.commands:
                if SERVES.match(line):
                    self._serve(line)
                else:
                    self._run(["bash", "-ec", self._placed(line)])

    def _write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.write_text(self._placed(text))
        file.chmod(0o600)
        if name.endswith(".ini"):
            (self.folder / "userlist.txt").touch()
            with contextlib.chdir(self.folder):
                load_config(name)

    def _placed(self, text: str) -> str:
        if "127.0.0.1:6432" in text and not self.serving:
            # The page is about a pool that runs already.
            self._write("running.ini", RUNNING)
            self._write("userlist.txt", '"user" "password"\n')
            self._serve("trio-pool running.ini")
        there = f"{self.server.host}:{self.server.port}"
        text = text.replace("@host:5432/", f"@{there}/").replace("@host/", f"@{there}/")
        text = text.replace(
            "host=127.0.0.1 port=5432", f"host={self.server.host} port={self.server.port}"
        )
        text = re.sub(r"^((http_)?listen_port) = \d+$", r"\1 = 0", text, flags=re.MULTILINE)
        text = text.replace("/run/trio-pool", str(self.folder))
        return text.replace("127.0.0.1:6432", f"127.0.0.1:{self.port}")

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PGHOST": self.server.host,
            "PGPORT": str(self.server.port),
            "PGUSER": "user",
            "PGPASSWORD": "password",
        }

    def _run(self, words: list[str]) -> None:
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{words[-1]}\n{done.stdout}{done.stderr}"

    def _serve(self, line: str) -> None:
        process = subprocess.Popen(
            ["bash", "-ec", f"exec {self._placed(line)} --port 0"],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.serving.append(process)
        assert process.stdout is not None
        said = []
        for answer in process.stdout:
            said.append(answer)
            found = re.search(r"listening on 127\.0\.0\.1:(\d+)", answer)
            if found:
                self.port = int(found[1])
                return
        pytest.fail(f"{line}\n{''.join(said)}")

    def end(self) -> None:
        """Every pool ends as it should."""
        for process in self.serving:
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=PATIENCE_SECONDS)
            assert process.returncode == 0, said


@pytest.fixture
def teller(postgres: LocalServer) -> Iterator[Teller]:
    """At a server that has the user and the database of the pages."""
    with (
        psycopg.connect(postgres.url(), autocommit=True) as admin,
        # Why not the test's own: paths of sockets must be short.
        tempfile.TemporaryDirectory() as folder,
    ):
        admin.execute("create role \"user\" superuser login password 'password'")
        admin.execute("create database dbname")
        told = Teller(postgres, Path(folder))
        try:
            yield told
        finally:
            for process in told.serving:
                if process.poll() is None:
                    process.kill()
                process.communicate()
            for name in ("dbname", "conform"):
                admin.execute(f"drop database if exists {name} with (force)")
            admin.execute('drop role "user"')


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.parametrize("page", STORIES)
def test_a_page_works_as_it_stands(page: str, teller: Teller) -> None:
    for block in story(page):
        teller.tell(block)
    teller.end()


@pytest.mark.parametrize("page", PAGES)
def test_what_a_terminal_shows_is_what_it_shows(page: str) -> None:
    for block in blocks(page):
        if block.language == "console":
            for said in block.body.removeprefix("$ ").split("\n$ "):
                line, _, shown = said.partition("\n")
                assert _answer(line).strip() == _of_here(shown).strip()


def _answer(line: str) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", line],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    return done.stdout


def _of_here(shown: str) -> str:
    """The page is about a compiled installation of the first version."""
    shown = shown.replace("0.1.0", importlib.metadata.version("trio-pool"))
    return shown.replace("(compiled)", f"({form.description()})")


def test_the_scraper_of_the_page_asks_where_its_file_listens() -> None:
    (file,) = [block.body for block in blocks("docs/metrics.md") if block.language == "ini"]
    (scraper,) = [block.body for block in blocks("docs/metrics.md") if block.language == "yaml"]
    (job,) = yaml.safe_load(scraper)["scrape_configs"]

    host, port = re.findall(r"http_listen_\w+ = (\S+)", file)
    assert job["static_configs"] == [{"targets": [f"{host}:{port}"]}]
