"""`trio-pool run`: from a URL or a file to a serving pool, and every failure explained.

Says where it listens and how to connect; how a pool serves and stops is `server`'s affair.
Nothing printed here holds a password.
"""

from __future__ import annotations

import errno
import functools
import importlib.metadata
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from urllib.parse import quote

import attrs
import trio

from protocol import form
from trio_pool import server
from trio_pool.config import FALLBACK, Config, ConfigError, Settings, config_from_url, is_url
from trio_pool.config import load_config as config_from_file
from trio_pool.config.settings import check
from trio_pool.logs import set_up_logging
from trio_pool.process import (
    become,
    descriptors_needed,
    ensure_descriptors,
    favour_the_loop,
    pid_file,
    tune_collector,
)
from trio_pool.tls_settings import encryption_of

log = logging.getLogger(__name__)


def run(
    *, target: str, overrides: Iterable[str], quiet: bool, verbose: int, account: str | None
) -> int:
    """Serve until told to stop; returns the exit status."""
    try:
        config = read_config(target, overrides)
        _prepare(config, quiet, verbose, account)
        with pid_file(config.settings.pidfile):
            announce = _Announcement(config, sys.stderr.isatty() and not quiet)
            tune_collector()
            favour_the_loop()
            serve = functools.partial(
                server.serve,
                config,
                signals=True,
                dedicated=True,
                read_config=functools.partial(read_config, target, tuple(overrides)),
                task_status=announce,
            )
            trio.run(serve)
    except (ConfigError, OSError) as error:
        return _failed([explained(error)])
    except BaseExceptionGroup as group:
        expected, bug = group.split((OSError, KeyboardInterrupt))
        if bug is not None:
            raise
        return _failed([explained(e) for e in leaves(expected) if isinstance(e, OSError)])
    except KeyboardInterrupt:
        return 0
    return 0


def read_config(target: str, overrides: Iterable[str] = ()) -> Config:
    """The configuration of a URL or an ini file, with `name=value` settings that win over it.

    As with libpq, PGPASSWORD serves for a URL without a password: other accounts can read the
    command line, and cannot read the environment. Raises ConfigError.
    """
    if is_url(target):
        config = config_from_url(target, default_password=os.environ.get("PGPASSWORD"))
    else:
        config = config_from_file(target)
    texts = dict(config.settings.texts)
    notices = list(config.notices)
    for override in overrides:
        name, equals, text = (part.strip() for part in override.partition("="))
        if not equals:
            raise ConfigError(f"--set {override}: expected NAME=VALUE")
        notice = check(name, text)
        notices += [] if notice is None else [notice]
        texts[name] = text
    return attrs.evolve(config, settings=Settings(texts=texts), notices=tuple(notices))


def explained(error: BaseException) -> str:
    """What went wrong and what to do about it, for a terminal."""
    if not isinstance(error, OSError):
        return str(error)
    if error.errno == errno.EADDRINUSE:
        return (
            f"{error.strerror or error}: another program listens there already\n"
            "  see which (ss -ltnp), or choose another port with --port"
        )
    if error.errno == errno.EACCES:
        return f"{error}\n  run it from an account that may, or change the setting"
    return str(error)


def leaves(group: BaseExceptionGroup[BaseException] | None) -> Iterator[BaseException]:
    """The single exceptions of a group and of the groups in it."""
    for error in group.exceptions if group is not None else ():
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


def _prepare(config: Config, quiet: bool, verbose: int, account: str | None) -> None:
    """Everything that is better known before the first client than after. Raises OSError."""
    settings = config.settings
    encryption_of(settings)
    set_up_logging(settings.logfile, verbose or settings.verbose, quiet)
    # Why before the account changes: the hard limit of root may be higher.
    warning = ensure_descriptors(descriptors_needed(config))
    log.info("trio-pool %s, %s", importlib.metadata.version("trio-pool"), form.description())
    account = account or settings.user
    if account:
        try:
            become(account)
        except KeyError:
            raise ConfigError(f"there is no account {account!r} on this system") from None
    for notice in config.notices:
        log.info("%s", notice)
    if warning is not None:
        log.warning("%s", warning)


@attrs.frozen
class _Announcement:
    """Told by `serve` that it listens; tells the operator how to connect."""

    config: Config
    for_person: bool

    def started(self, value: object = None) -> None:
        """Log each address; on a terminal also show how to get in."""
        if not isinstance(value, server.Serving):
            return
        for address in value.addresses:
            log.info("listening on %s", _written(address))
            if self.for_person and isinstance(address, tuple):
                url = f"postgresql://{self._login}{_written(address)}/{self._database}"
                print(f"connect with: psql {url}", file=sys.stderr)

    @property
    def _login(self) -> str:
        user = next(iter(self.config.secrets), None)
        return "" if user is None else f"{quote(user, safe='')}@"

    @property
    def _database(self) -> str:
        names = (name for name in self.config.databases if name != FALLBACK)
        return quote(next(names, "postgres"), safe="")


def _written(address: tuple[str, int] | str) -> str:
    if isinstance(address, str):
        return address
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _failed(reasons: Iterable[str]) -> int:
    """Print each reason; 1, or 0 when there is none (it was only interrupted)."""
    status = 0
    for reason in reasons:
        print(f"trio-pool: {reason}", file=sys.stderr)
        status = 1
    return status
