"""`trio-pool run`: from a URL or a file to a serving pool, and every failure explained.

Says where it listens and how to connect; how a pool serves and stops is `server`'s affair.
Nothing printed here holds a password.
"""

from __future__ import annotations

import errno
import functools
import importlib.metadata
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Final
from urllib.parse import quote

import attrs
import trio

from protocol import form
from trio_pool import server
from trio_pool.config import (
    FALLBACK,
    Config,
    ConfigError,
    Settings,
    config_from_environment,
    config_from_url,
    is_url,
)
from trio_pool.config import load_config as config_from_file
from trio_pool.config.exposure import exposure
from trio_pool.config.settings import check
from trio_pool.daemon import Background, detach
from trio_pool.journal import Journal
from trio_pool.judges import require_judges
from trio_pool.logs import set_up_logging
from trio_pool.origin import Origin
from trio_pool.process import (
    become,
    descriptors_needed,
    ensure_descriptors,
    favour_the_loop,
    keep_buffers,
    pid_file,
    tune_collector,
)
from trio_pool.syslog import syslog_of
from trio_pool.systemd import given_sockets, manager_of
from trio_pool.takeover import call_predecessor
from trio_pool.tls_settings import encryption_of
from trio_pool.web.extra import require_http

log = Journal(__name__)

ENVIRONMENT: Final = "environment:"


def run(
    *,
    target: str,
    overrides: Iterable[str],
    quiet: bool,
    verbose: int,
    account: str | None,
    daemon: bool = False,
    reboot: bool = False,
) -> int:
    """Serve until told to stop; returns the exit status. With `daemon`, in the background."""
    background: Background | None = None
    try:
        config = read_config(target, overrides)
        if daemon:
            _check_daemon(config.settings)
            encryption_of(config.settings)
            background = detach()
        _prepare(config, quiet or daemon, verbose, account)
        origin = _origin(config.settings, reboot)
        with pid_file(config.settings.pidfile, succeeding=origin.predecessor is not None):
            announce = _Announcement(config, sys.stderr.isatty() and not quiet, background)
            reread = functools.partial(read_config, target, tuple(overrides))
            _serve(config, reread, origin, announce)
    except (ConfigError, OSError) as error:
        return _failed([explained(error)], background)
    except BaseExceptionGroup as group:
        expected, bug = group.split((OSError, KeyboardInterrupt))
        if bug is not None:
            raise
        reasons = [explained(e) for e in leaves(expected) if isinstance(e, OSError)]
        return _failed(reasons, background)
    except KeyboardInterrupt:
        return 0
    return 0


def _serve(
    config: Config, reread: Callable[[], Config], origin: Origin, announce: _Announcement
) -> None:
    """Until the pool is stopped. Raises groups of whatever ended it."""
    tune_collector()
    favour_the_loop()
    keep_buffers()
    serve = functools.partial(
        server.serve,
        config,
        signals=True,
        dedicated=True,
        read_config=reread,
        origin=origin,
        task_status=announce,
    )
    trio.run(serve)


def _check_daemon(settings: Settings) -> None:
    """Whoever has no terminal must have another place for what it says. Raises ConfigError."""
    if not settings.pidfile:
        raise ConfigError("-d needs a pidfile", hint="set pidfile")
    if not (settings.logfile or settings.syslog):
        raise ConfigError("-d needs a place for the log", hint="set logfile, or syslog = 1")


def _origin(settings: Settings, reboot: bool) -> Origin:
    """What this process was given by who started it, and by who it replaces."""
    given = given_sockets(os.environ)
    manager = manager_of(os.environ)
    if given:
        log.info(
            "the service manager has handed over %d sockets: listen_addr is ignored", len(given)
        )
    predecessor = call_predecessor(settings) if reboot else None
    if reboot:
        found = "no process runs yet" if predecessor is None else "taking over from a running one"
        log.info("online restart: %s", found)
    return Origin(given, manager, predecessor)


def read_config(target: str, overrides: Iterable[str] = ()) -> Config:
    """The configuration of a URL, an ini file or (ENVIRONMENT) the environment, with `name=value`
    settings that win over it.

    As with libpq, PGPASSWORD serves for a URL without a password: other accounts can read the
    command line, and cannot read the environment. Raises ConfigError.
    """
    if target == ENVIRONMENT:
        config = config_from_environment(os.environ)
    elif is_url(target):
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
    require_http(settings)
    require_judges(config)
    set_up_logging(settings.logfile, verbose or settings.verbose, quiet, syslog_of(settings))
    # Why before the account changes: the hard limit of root may be higher.
    scarcity = ensure_descriptors(descriptors_needed(config))
    log.info("trio-pool %s, %s", importlib.metadata.version("trio-pool"), form.description())
    account = account or settings.user
    if account:
        try:
            become(account)
        except KeyError:
            raise ConfigError(f"there is no account {account!r} on this system") from None
    for notice in config.notices:
        log.info("%s", notice)
    for warning in (scarcity, exposure(settings)):
        if warning is not None:
            log.warning("%s", warning)


@attrs.frozen
class _Announcement:
    """Told by `serve` that it listens; tells the operator how to connect."""

    config: Config
    for_person: bool
    background: Background | None = None

    def started(self, value: object = None) -> None:
        """Log each address; on a terminal also show how to get in."""
        if not isinstance(value, server.Serving):
            return
        if self.background is not None:
            self.background.serving()
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


def _failed(reasons: Iterable[str], background: Background | None) -> int:
    """Say each reason; 1, or 0 when there is none (it was only interrupted)."""
    status = 0
    for reason in reasons:
        print(f"trio-pool: {reason}", file=sys.stderr)
        if background is not None:
            # The terminal may be gone by now.
            log.critical("%s", reason)
        status = 1
    return status
