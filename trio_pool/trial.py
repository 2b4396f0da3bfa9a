"""What a server would report to a client, found out before its session begins.

The first client of a pool waits for the first backend, whose login tells what the server says
of itself. A client's startup parameters are set on a backend like any difference in settings;
the server accepts them with its own spelling of the values, or refuses them in its own words.
Both are asked once and remembered (bounded) for clients that come with the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
import trio

from protocol import frontend
from protocol.backend import authentication_ok, decode_data_row, parameter_status
from protocol.startup_message import StartupMessage
from trio_pool.backend import Backend
from trio_pool.config import Config
from trio_pool.errand import Answer, Errand
from trio_pool.errors import SettingRefused
from trio_pool.pool import Pool
from trio_pool.settings import REPORTED, ClientSettings, applied, difference, differing

_REMEMBERED_MAX: Final = 1_000

Pairs = tuple[tuple[bytes, bytes], ...]


class Wanted:
    """The startup settings that are to be kept; `pairs` are the same for every order of them."""

    __slots__ = ("values", "pairs")

    def __init__(self, values: dict[bytes, bytes]) -> None:
        self.values = values
        self.pairs: Pairs = tuple(sorted(values.items()))


@attrs.frozen(eq=False)
class Greeting:
    """What every client with the same settings is told: `opening` is AuthenticationOk and the
    parameters. Each takes a copy of `settings`; `parameters` are the server's own by then.
    """

    parameters: dict[bytes, bytes]
    settings: ClientSettings
    opening: bytes


async def welcome(pool: Pool) -> None:
    """Learn the server's parameters. Raises the Ending that keeps backends from being opened."""
    await _ask(pool, lambda _: frontend.sync(), lambda _, answer: answer.error is None)
    assert pool.parameters is not None


async def _ask(
    pool: Pool,
    question: Callable[[Backend], bytes],
    done: Callable[[Backend | None, Answer], bool],
) -> Answer:
    """Put a question to a backend of the pool, once one is free, and wait for the answer."""
    answered = trio.Event()

    def tell(backend: Backend | None, answer: Answer) -> bool:
        answered.set()
        return done(backend, answer)

    errand = Errand(question, tell)
    pool.request(errand)
    try:
        await answered.wait()
    finally:
        errand.abandon(pool)
    if errand.answer.ending is not None:
        raise errand.answer.ending
    return errand.answer


async def try_settings(pool: Pool, wanted: Wanted) -> None:
    """Have a backend accept these settings, and remember what the server makes of them.

    Raises SettingRefused with the server's own words.
    """
    settings = ClientSettings(pool.environments, wanted.values)
    names: list[bytes] = []

    def question(backend: Backend) -> bytes:
        names.extend(differing(settings, backend.state.settings))
        sql = difference(settings, backend.state.settings)
        return frontend.query(sql) if sql is not None else frontend.sync()

    def done(backend: Backend | None, answer: Answer) -> bool:
        if backend is not None and answer.error is None:
            if names:
                # Not all of them are reported: what is the same by another spelling is not.
                said = decode_data_row(answer.rows[-1]).values
                settings.accepted({n: v for n, v in zip(names, said, strict=True) if v is not None})
            for name, value in answer.reported.items():
                settings.reported(name, value)
            applied(settings, backend.state.settings)
        return answer.error is None

    answer = await _ask(pool, question, done)
    if answer.error is not None:
        said = (answer.error.get("M") or b"").decode("utf-8", "replace")
        refused = SettingRefused(said)
        refused.code = (answer.error.get("C") or b"22023").decode("ascii", "replace")
        raise refused
    if len(pool.tried) >= _REMEMBERED_MAX:
        pool.tried.clear()
    _remember(pool, wanted.pairs, settings)


def greeting_for(pool: Pool, wanted: Wanted) -> Greeting | None:
    """What a client with these settings is told; None when they have to be tried first.

    The pool must have its parameters.
    """
    known = pool.tried.get(wanted.pairs)
    if known is None and wanted.pairs:
        return None
    if known is not None and known.parameters is pool.parameters:
        return known
    settings = ClientSettings(pool.environments, {}) if known is None else known.settings
    return _remember(pool, wanted.pairs, settings)


def _remember(pool: Pool, pairs: Pairs, settings: ClientSettings) -> Greeting:
    parameters = pool.parameters or {}
    settings.greeted(parameters)
    reported = {name: value for name, value in settings.values.items() if name in parameters}
    said = [parameter_status(name, value) for name, value in (parameters | reported).items()]
    greeting = Greeting(parameters, settings, authentication_ok() + b"".join(said))
    pool.tried[pairs] = greeting
    return greeting


def wanted_settings(config: Config, message: StartupMessage) -> dict[bytes, bytes]:
    """The settings of the startup packet that are to be kept."""
    if not config.settings.ignore_startup_parameters:
        return dict(message.settings())
    ignored = {name.lower().encode() for name in config.settings.ignore_startup_parameters}
    return {
        name: value
        for name, value in message.settings()
        if name.lower() not in ignored or name in REPORTED
    }
