"""`trio-pool top`: how a pooler is doing, second after second, in a terminal or as JSON.

Asks the admin console what PgBouncer's has too, so that it shows a PgBouncer as well. On a terminal
it draws on the alternate screen and leaves everything as it was; elsewhere it prints one picture
after the other.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

import attrs
import trio

from trio_pool.config import ConfigError
from trio_pool.config.url import parse_url
from trio_pool.terminal.client import Console, ConsoleUnreachable, Table, open_console
from trio_pool.terminal.layout import Look, Picture, rates, screen

_ENTER: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_CLEAR_LINE: Final = "\x1b[K"
_CLEAR_BELOW: Final = "\x1b[J"


@attrs.frozen
class Options:
    """What was asked for on the command line."""

    url: str
    once: bool
    json: bool
    seconds: float


def run(options: Options) -> int:
    """Show it until interrupted, or once; the exit status."""
    try:
        trio.run(_run, options)
    except KeyboardInterrupt:
        return 0
    except (ConfigError, ConsoleUnreachable) as failure:
        print(f"trio-pool: {failure}", file=sys.stderr)
        return 1
    return 0


async def _run(options: Options) -> None:
    async with open_console(options.url) as console:
        if options.json:
            await _watch(console, options, _print_json)
        elif options.once or not sys.stdout.isatty():
            await _watch(console, options, _printer(options))
        else:
            sys.stdout.write(_ENTER)
            try:
                await _watch(console, options, _painter(options))
            finally:
                sys.stdout.write(_LEAVE)
                sys.stdout.flush()


Show = Callable[[Picture | None, Picture], None]


async def _watch(console: Console, options: Options, show: Show) -> None:
    before = await take_picture(console)
    if options.once:
        # Rates take two looks.
        await trio.sleep(min(options.seconds, 1.0))
        show(before, await take_picture(console))
        return
    with trio.open_signal_receiver(signal.SIGWINCH) as resized:
        show(None, before)
        while True:
            now = before
            with trio.move_on_after(options.seconds) as waited:
                await resized.__anext__()
            if waited.cancelled_caught:
                now = await take_picture(console)
            show(before, now)
            before = now


async def take_picture(console: Console) -> Picture:
    """Everything that is shown, as it is now. Raises ConsoleUnreachable."""
    reply = await console.ask("SHOW VERSION")
    # PgBouncer before 1.13 says it in a notice.
    version = [*reply.notices, *(row[0] or "" for table in reply.tables for row in table.rows)]
    own = await console.show("TRIO_POOL")
    return Picture(
        at=trio.current_time(),
        version=version[0] if version else "",
        pools=await _needed(console, "POOLS"),
        databases=await _needed(console, "DATABASES"),
        totals=await _needed(console, "STATS_TOTALS"),
        pins=None if own is None else await console.show("PINS"),
        own=None if own is None else {str(row["key"]): row["value"] for row in own},
    )


async def _needed(console: Console, table: str) -> list[dict[str, str | None]]:
    reply = await console.ask(f"SHOW {table}")
    if reply.error is not None:
        raise ConsoleUnreachable(f"this is no console of a pooler: {reply.error}")
    return reply.tables[0].records() if reply.tables else Table().records()


def look_now() -> Look:
    """The size of the terminal, and whether it may be coloured (no-color.org)."""
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return Look(lines=1_000, columns=120)
    colours = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Look(size.columns, size.lines, colours)


def _place(options: Options) -> str:
    url = parse_url(options.url)
    return f"{url.host}:{url.port}"


def _printer(options: Options) -> Show:
    place = _place(options)

    def show(before: Picture | None, now: Picture) -> None:
        lines = screen(before, now, place, attrs.evolve(look_now(), lines=1_000))
        print("\n".join(lines), flush=True)

    return show


def _painter(options: Options) -> Show:
    place = _place(options)

    def show(before: Picture | None, now: Picture) -> None:
        lines = screen(before, now, place, look_now())
        text = "".join(f"{line}{_CLEAR_LINE}\n" for line in lines)
        sys.stdout.write(_HOME + text + _CLEAR_BELOW)
        sys.stdout.flush()

    return show


def _print_json(before: Picture | None, now: Picture) -> None:
    found = attrs.asdict(now)
    found["per_second"] = rates(before, now)
    print(json.dumps(found), flush=True)
