"""`trio-pool init`: a small pgbouncer.ini and its user list, from a URL or from questions.

Nothing is overwritten unless that is asked for, and the user list, which holds a password, is made
so that only this account can read it. The exit status is 1, with the reason said, when it failed.
"""

from __future__ import annotations

import getpass
import json
import os
import sys
from pathlib import Path
from typing import Final

import attrs

from trio_pool.config import ConfigError, ServerUrl, load_config, parse_url
from trio_pool.config.first_file import first_files
from trio_pool.config.kinds import PORT

INI: Final = "pgbouncer.ini"
USERLIST: Final = "userlist.txt"


@attrs.frozen
class Options:
    """What was asked for on the command line; without `url` the rest is asked for."""

    url: str | None
    directory: str
    listen_addr: str
    port: int
    force: bool
    json: bool


def run(options: Options) -> int:
    """Write the files and say what to do with them; the exit status."""
    try:
        written = _write(options)
    except (ConfigError, OSError) as error:
        print(f"trio-pool init: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print("\ntrio-pool init: nothing was written", file=sys.stderr)
        return 1
    ini, userlist = (str(path) for path in written)
    if options.json:
        print(json.dumps({"ini": ini, "userlist": userlist}))
        return 0
    print(f"wrote {ini}\nwrote {userlist} (holds a password; only this account can read it)")
    print(f"try it with:   trio-pool check --connect {ini}\nstart it with: trio-pool {ini}")
    return 0


def _write(options: Options) -> tuple[Path, Path]:
    folder = Path(options.directory).absolute()
    ini, userlist = folder / INI, folder / USERLIST
    _refuse_to_overwrite(options, ini, userlist)
    server = parse_url(options.url) if options.url is not None else _asked()
    if server.password is None and os.environ.get("PGPASSWORD"):
        server = attrs.evolve(server, password=os.environ["PGPASSWORD"])
    if server.password is None and options.listen_addr != "127.0.0.1":
        raise ConfigError(
            "without a password whoever reaches the pool would be let in",
            hint="give the URL a password, or set PGPASSWORD",
        )
    port = PORT.parse("--port", str(options.port))
    files = first_files(server, str(userlist), options.listen_addr, port)
    folder.mkdir(parents=True, exist_ok=True)
    _private(userlist, files.userlist, options.force)
    with ini.open("w" if options.force else "x") as file:
        file.write(files.ini)
    # What cannot be read again would be a mistake of ours; better said here than at the start.
    load_config(ini)
    return ini, userlist


def _refuse_to_overwrite(options: Options, *paths: Path) -> None:
    for path in paths:
        if path.exists() and not options.force:
            raise ConfigError(f"{path} is there already", hint="--force overwrites it")


def _private(path: Path, text: str, force: bool) -> None:
    """Write a file that nobody else can read, not even for a moment. Raises OSError."""
    if force:
        path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        file.write(text)


def _asked() -> ServerUrl:
    """The server that the person at the terminal means, or whoever fills the standard input."""
    host = _ask("Host of the PostgreSQL server", "127.0.0.1")
    port = PORT.parse("the port", _ask("Its port", "5432"))
    user = _ask("User", "postgres")
    dbname = _ask("Database", user)
    return ServerUrl(host=host, port=port, user=user, dbname=dbname, password=_password())


def _ask(what: str, default: str) -> str:
    print(f"{what} [{default}]: ", end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.strip() or default


def _password() -> str | None:
    """The password, typed unseen; None for none."""
    if sys.stdin.isatty():
        return getpass.getpass("Password (empty: none): ") or None
    return sys.stdin.readline().rstrip("\r\n") or None
