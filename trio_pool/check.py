"""`trio-pool check`: what a configuration would do, without serving it.

Reads a file as a start or a reload would, and says what is wrong and where; with `connect` it
also logs in at each database once. The exit status is 0 when it can be served.
"""

from __future__ import annotations

import base64
import json
import secrets

import attrs
import trio

from protocol.errors import AuthenticationRefused, ProtocolViolation, ServerRefused
from protocol.framing import FrameReader
from protocol.handshake import is_scram_challenge, log_in
from trio_pool.conduct import Hasher, PeerClosed, conduct
from trio_pool.config import FALLBACK, Config, ConfigError, Database, load_config
from trio_pool.config.exposure import exposure
from trio_pool.credentials import server_login
from trio_pool.judges import require_judges
from trio_pool.opening import login_policy, open_encrypted
from trio_pool.process import descriptors_needed
from trio_pool.tls import TlsStream
from trio_pool.tls_settings import encryption_of

_LOGIN_SECONDS = 15.0
_FAILURES = (
    *(OSError, trio.TooSlowError, trio.BrokenResourceError, PeerClosed),
    *(ServerRefused, AuthenticationRefused, ProtocolViolation),
)


@attrs.define
class Finding:
    """What is known of one database."""

    name: str
    place: str
    reached: bool | None = None
    says: str = ""


@attrs.define
class Report:
    """What `check` has found; `error` is why the file cannot be served."""

    file: str
    error: str | None = None
    where: str | None = None
    notices: list[str] = attrs.field(factory=list)
    databases: list[Finding] = attrs.field(factory=list)
    descriptors: int = 0

    @property
    def good(self) -> bool:
        """It can be served, and what was tried was reached."""
        return self.error is None and all(found.reached is not False for found in self.databases)


def check(file: str, *, connect: bool, as_json: bool) -> int:
    """Check a file and print the report; the exit status."""
    report = examine(file, connect)
    if as_json:
        print(json.dumps({"ok": report.good, **attrs.asdict(report)}, indent=2))
    else:
        for line in _lines(report):
            print(line)
    return 0 if report.good else 1


def examine(file: str, connect: bool) -> Report:
    """Everything that can be known of a file."""
    report = Report(file)
    try:
        config = load_config(file)
        require_judges(config)
        encryption_of(config.settings)
    except ConfigError as error:
        report.error = str(error)
        if error.path is not None:
            report.where = ":".join(str(p) for p in (error.path, error.line) if p is not None)
        return report
    report.notices = list(config.notices)
    exposed = exposure(config.settings)
    report.notices += [] if exposed is None else [exposed]
    report.descriptors = descriptors_needed(config)
    for name, database in config.databases.items():
        place = f"{database.host}:{database.port}/{database.dbname}"
        report.databases.append(Finding(name, place))
    if connect:
        trio.run(_reach_all, config, report)
    return report


def unreached(config: Config) -> list[str]:
    """Log in once at each database that has a name; why that failed, where it did."""
    report = Report("")
    for name, database in config.databases.items():
        report.databases.append(Finding(name, f"{database.host}:{database.port}"))
    trio.run(_reach_all, config, report)
    return [f"{found.place}: {found.says}" for found in report.databases if found.reached is False]


async def _reach_all(config: Config, report: Report) -> None:
    async with trio.open_nursery() as nursery:
        for finding in report.databases:
            if finding.name != FALLBACK:
                nursery.start_soon(_reach, config, config.databases[finding.name], finding)


async def _reach(config: Config, database: Database, finding: Finding) -> None:
    known = next(iter(config.secrets), None)
    user = database.user or database.auth_user or config.settings.auth_user or known
    if user is None:
        finding.says = "not tried: the file names no user to log in as"
        return
    login = server_login(config, database, user)
    try:
        with trio.fail_after(config.settings.server_connect_timeout or _LOGIN_SECONDS):
            stream, _ = await open_encrypted(
                database, config.settings, encryption_of(config.settings)
            )
            async with stream:
                exchange = log_in(
                    login.credentials(),
                    [(b"database", database.dbname.encode())],
                    nonce=base64.b64encode(secrets.token_bytes(18)),
                    policy=login_policy(database, stream),
                )
                reader = FrameReader(1_048_576)
                found = await conduct(exchange, stream, reader, Hasher(), is_scram_challenge)
    except _FAILURES as failure:
        finding.reached = False
        finding.says = f"cannot log in as {login.user}: {failure or type(failure).__name__}"
        return
    version = found.parameters.get(b"server_version", b"?").decode("utf-8", "replace")
    tls = f", {stream.sock.version}" if isinstance(stream, TlsStream) else ""
    finding.reached, finding.says = True, f"PostgreSQL {version} as {login.user}{tls}"


def _lines(report: Report) -> list[str]:
    if report.error is not None:
        return [report.error, "it cannot be served"]
    lines = [*report.notices]
    for found in report.databases:
        word = {None: "", True: "reached: ", False: "NOT REACHED: "}[found.reached]
        lines.append(f"{found.name} = {found.place}  {word}{found.says}".rstrip())
    lines.append(f"it may need {report.descriptors} file descriptors")
    lines.append("it can be served" if report.good else "it can be served, but not all of it")
    return lines
