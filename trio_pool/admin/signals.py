"""Signals, with PgBouncer's meanings.

HUP reads the configuration again. TERM takes no new clients and waits until the present ones
have left; INT ends each at its next transaction boundary; a second one of either, or QUIT, stops
at once. USR1 is PAUSE, USR2 is RESUME.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import trio

from trio_pool.admin.operations import OrderRefused
from trio_pool.config import ConfigError
from trio_pool.journal import Journal

if TYPE_CHECKING:
    from trio_pool.server import Server

log = Journal(__name__)

_OBEYED: Final = (
    *(signal.SIGHUP, signal.SIGTERM, signal.SIGINT),
    *(signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2),
)


async def obey_signals(server: Server) -> None:
    """Act on every signal, for ever. An order that waits does not keep the next from acting."""
    with trio.open_signal_receiver(*_OBEYED) as received:
        async with trio.open_nursery() as nursery:
            async for number in received:
                name = signal.Signals(number).name
                log.info("got %s", name)
                if number == signal.SIGHUP:
                    nursery.start_soon(_carry_out, server.operations.reload)
                elif number == signal.SIGUSR1:
                    nursery.start_soon(_carry_out, server.operations.pause)
                elif number == signal.SIGUSR2:
                    nursery.start_soon(_carry_out, server.operations.resume)
                else:
                    _stop(server, number)


def _stop(server: Server, number: int) -> None:
    if number == signal.SIGQUIT or server.shutdown.stopping:
        log.info("stopping at once")
        server.shutdown.stop_now()
    elif number == signal.SIGTERM:
        log.info("no new clients; waiting for those that are here to leave")
        server.shutdown.stop_when_empty()
    else:
        log.info("clients end at their next transaction boundary")
        server.shutdown.drain()


async def _carry_out(order: Callable[[], Awaitable[None]]) -> None:
    try:
        await order()
    except OrderRefused as refused:
        log.warning("%s", refused)
    except ConfigError as error:
        log.error("reload failed, the old configuration stays: %s", error)
