"""A local PostgreSQL for as long as a `with` block lasts.

The invariant: whatever way the block is left, and wherever the start fails, no process and no
directory stays behind.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import attrs
import trio

from trio_pool.embedded.account import (
    Account,
    hand_over,
    reachable_binaries,
    server_account,
)
from trio_pool.embedded.cluster import Cluster, stop
from trio_pool.embedded.discovery import Binaries, find_binaries
from trio_pool.embedded.guard import guarded


@attrs.frozen(kw_only=True)
class LocalServer:
    """A running PostgreSQL: where it listens, and a superuser's way in."""

    host: str
    port: int
    user: str
    password: str = attrs.field(repr=False)
    database: str
    pid: int | None = None
    """The server's main process; None for one that is not ours."""

    def url(
        self, database: str | None = None, user: str | None = None, password: str | None = None
    ) -> str:
        """A connection URL for libpq and its like; what is left out is the superuser's own."""
        login = f"{_quoted(user or self.user)}:{_quoted(password or self.password)}"
        return f"postgresql://{login}@{self.host}:{self.port}/{_quoted(database or self.database)}"


@contextlib.contextmanager
def local_postgres(
    *,
    auth: str = "scram-sha-256",
    settings: Mapping[str, str | int] | None = None,
    user: str = "postgres",
    password: str | None = None,
    binaries: Binaries | None = None,
) -> Iterator[LocalServer]:
    """A fresh server on a free port of 127.0.0.1; takes about a second to start.

    `auth` is a method of pg_hba.conf, `settings` are PostgreSQL's own, `binaries` those of
    `find_binaries()` unless given. Raises EmbeddedError.
    """
    binaries = binaries or find_binaries()
    account = server_account()
    password = password or secrets.token_urlsafe(16)
    with _workplace(account) as workplace:
        cluster = Cluster(reachable_binaries(binaries, account, workplace), account, workplace)
        cluster.create(user, password, auth)
        texts = {name: str(value) for name, value in (settings or {}).items()}
        process, port = cluster.start(texts)
        try:
            yield LocalServer(
                host="127.0.0.1",
                port=port,
                user=user,
                password=password,
                database="postgres",
                pid=process.pid,
            )
        finally:
            stop(process)


@contextlib.asynccontextmanager
async def open_local_postgres(
    *,
    auth: str = "scram-sha-256",
    settings: Mapping[str, str | int] | None = None,
    binaries: Binaries | None = None,
) -> AsyncIterator[LocalServer]:
    """`local_postgres` for Trio: starting and stopping happen in a thread."""
    local = local_postgres(auth=auth, settings=settings, binaries=binaries)
    server = await trio.to_thread.run_sync(local.__enter__)
    try:
        yield server
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(local.__exit__, None, None, None)


@contextlib.contextmanager
def _workplace(account: Account | None) -> Iterator[Path]:
    """A temporary directory that the account owns and can reach."""
    above = Path(tempfile.gettempdir())
    # Why: root's TMPDIR is often closed to everybody else.
    if account is not None and not _open_to_all(above):
        above = Path("/tmp")
    workplace = Path(tempfile.mkdtemp(prefix="trio-pool-", dir=above))
    with guarded(workplace):
        try:
            hand_over(workplace, account)
            yield workplace
        finally:
            shutil.rmtree(workplace)


def _open_to_all(directory: Path) -> bool:
    everyone_passes = stat.S_IXOTH
    return all(path.stat().st_mode & everyone_passes for path in (directory, *directory.parents))


def _quoted(text: str) -> str:
    return quote(text, safe="")
