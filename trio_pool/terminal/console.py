"""`trio-pool console`: a small shell over the admin console, for where psql is not at hand.

A line is a command. Tables look as psql writes them, or are JSON, one object per command.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Final

import attrs
import trio

from trio_pool.config import ConfigError
from trio_pool.terminal.client import Console, ConsoleUnreachable, Reply, open_console
from trio_pool.terminal.layout import plain, table

_PROMPT: Final = "pgbouncer=# "
_GOODBYES: Final = ("\\q", "quit", "exit")
_HELPS: Final = ("\\?", "help", "?")


@attrs.frozen
class Options:
    """What was asked for on the command line."""

    url: str
    commands: Sequence[str]
    json: bool


def run(options: Options) -> int:
    """Carry out the commands, or those that are typed; 1 when one of them failed."""
    try:
        return trio.run(_run, options)
    except KeyboardInterrupt:
        return 1
    except (ConfigError, ConsoleUnreachable) as failure:
        print(f"trio-pool: {failure}", file=sys.stderr)
        return 1


async def _run(options: Options) -> int:
    status = 0
    async with open_console(options.url) as console:
        lines = _given(options.commands) if options.commands else _typed()
        async for line in lines:
            said = line.strip()
            if said.lower() in _GOODBYES:
                break
            if said:
                failed = await _carry_out(console, said, options.json)
                status = max(status, int(failed))
    # At a terminal a mistake was seen, and is no failure of the shell.
    return 0 if not options.commands and sys.stdin.isatty() else status


async def _given(commands: Sequence[str]) -> AsyncIterator[str]:
    for command in commands:
        yield command


async def _typed() -> AsyncIterator[str]:
    at_terminal = sys.stdin.isatty()
    if at_terminal:
        # Why imported: input() then has a history and can be edited. Not every Python has it.
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401
    while True:
        try:
            yield await trio.to_thread.run_sync(
                input, _PROMPT if at_terminal else "", abandon_on_cancel=True
            )
        except EOFError:
            return


async def _carry_out(console: Console, said: str, as_json: bool) -> bool:
    """Ask and print; whether it failed."""
    reply = await console.ask("SHOW HELP" if said.lower() in _HELPS else said)
    if as_json:
        print(json.dumps(_as_json(reply)), flush=True)
    else:
        for line in _lines(reply):
            print(line, flush=True)
        for notice in reply.notices:
            print(f"NOTICE:  {notice}", file=sys.stderr)
        if reply.error is not None:
            print(f"ERROR:  {plain_lines(reply.error)}", file=sys.stderr)
    return reply.error is not None


def plain_lines(text: str) -> str:
    """Several lines, each without what a terminal would obey."""
    return "\n".join(plain(line) for line in text.splitlines())


def _lines(reply: Reply) -> list[str]:
    lines: list[str] = []
    for answer in reply.tables:
        lines += table(answer.columns, answer.rows) if answer.columns else [plain(answer.tag)]
    return lines


def _as_json(reply: Reply) -> dict[str, object]:
    answers = [
        {"tag": answer.tag, "rows": answer.records()} if answer.columns else {"tag": answer.tag}
        for answer in reply.tables
    ]
    return {"answers": answers, "notices": reply.notices, "error": reply.error}
