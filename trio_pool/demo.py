"""`trio-pool demo`: PostgreSQL, a pool of two backends, and the proof, on one terminal.

Starts a throw-away PostgreSQL (or takes the one it is given), serves it, lets `proof` run
through the pool and shows what came out. Whatever ends it, no process and no file stays.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

import attrs
import trio

from trio_pool import proof, server
from trio_pool.command import explained, leaves
from trio_pool.config import ConfigError, ServerUrl, config_from_url, parse_url
from trio_pool.embedded import EmbeddedError, open_local_postgres
from trio_pool.proof import Door, Tally

POOL_SIZE: Final = 2


def run(*, postgres: str | None, port: int, once: bool, as_json: bool = False) -> int:
    """Show the demo; returns the exit status: 0 when the proof holds.

    As JSON it is one line for programs, and then the demo is over.
    """
    demo = _Demo(postgres, port, once or as_json, as_json)
    try:
        trio.run(demo.run)
    except (ConfigError, EmbeddedError, OSError) as error:
        return _failed(error)
    except BaseExceptionGroup as group:
        expected, bug = group.split((ConfigError, EmbeddedError, OSError))
        if bug is not None or expected is None:
            raise
        return _failed(next(leaves(expected)))
    return demo.status


@attrs.define
class _Demo:
    """One demo: what was asked for, and the exit status it has come to."""

    postgres: str | None
    port: int
    once: bool
    as_json: bool = False
    status: int = 1

    async def run(self) -> None:
        """Everything, under one nursery that Ctrl-C and SIGTERM end in order."""
        async with trio.open_nursery() as nursery:
            await nursery.start(_cancel_on_signal, nursery.cancel_scope)
            async with _server(self.postgres) as (url, place):
                self._say(f"PostgreSQL  {place}")
                await self._serve(url)
            nursery.cancel_scope.cancel()

    async def _serve(self, url: str) -> None:
        config = config_from_url(
            url, listen_port=self.port, default_pool_size=POOL_SIZE, log_connections=0
        )
        async with trio.open_nursery() as nursery:
            serving = await nursery.start(server.serve, config)
            door = _door(parse_url(url), serving)
            self._say(
                f"trio-pool   127.0.0.1:{door.port}, transaction pooling, {POOL_SIZE} backends"
            )
            tally = await proof.prove(door)
            self._say(_shown(tally, serving.counters.replays))
            if self.as_json:
                print(json.dumps(_told(tally, serving.counters.replays)))
            self.status = 0 if tally.holds else 1
            if self.once:
                nursery.cancel_scope.cancel()
            else:
                print(_invitation(door, own=self.postgres is None))

    def _say(self, text: str) -> None:
        if not self.as_json:
            print(text)


@contextlib.asynccontextmanager
async def _server(given: str | None) -> AsyncIterator[tuple[str, str]]:
    """The URL of the server behind the pool, and what to say of it."""
    if given is not None:
        server_url = parse_url(given)
        yield given, f"{server_url.host}:{server_url.port}"
        return
    async with open_local_postgres() as local:
        yield local.url(), f"{local.host}:{local.port}, started for this demo"


def _door(server_url: ServerUrl, serving: server.Serving) -> Door:
    host, port = next(address for address in serving.addresses if isinstance(address, tuple))
    user = server_url.user or "postgres"
    return Door(
        host=host,
        port=port,
        user=user,
        password=server_url.password,
        database=server_url.dbname or user,
    )


def _shown(tally: Tally, replays: int) -> str:
    verdict = (
        "Every client found its own statements on whichever backend it was lent."
        if tally.holds
        else "That is not what a private server would have shown: please report it."
    )
    return f"""
{proof.CLIENTS} clients prepare {proof.STATEMENTS_EACH} statements each, all under the same names,
and execute them in transactions of their own:

  statements prepared {tally.prepared:6}
  executions          {tally.executions:6}   in {tally.seconds:.2f} s
  backends used       {len(tally.backends):6}
  replays             {replays:6}   statements prepared again where they were missing
  wrong answers       {tally.wrong_answers:6}
  errors              {len(tally.errors):6}{"".join(sorted({f"   {e}" for e in tally.errors}))}

{verdict}"""


def _told(tally: Tally, replays: int) -> dict[str, object]:
    return {
        "ok": tally.holds,
        "prepared": tally.prepared,
        "executions": tally.executions,
        "seconds": round(tally.seconds, 3),
        "backends": len(tally.backends),
        "replays": replays,
        "wrong_answers": tally.wrong_answers,
        "errors": tally.errors,
    }


def _invitation(door: Door, own: bool) -> str:
    # Why shown: this password guards a server that was made a second ago and ends with us;
    # the password of a given server stays with its owner.
    login = f"{quote(door.user, safe='')}"
    if own and door.password is not None:
        login += f":{quote(door.password, safe='')}"
    url = f"postgresql://{login}@{door.host}:{door.port}/{quote(door.database, safe='')}"
    return f"\nThe pool keeps serving. Try it with any driver:\n\n  psql {url}\n\nCtrl-C ends it."


async def _cancel_on_signal(
    scope: trio.CancelScope, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()


def _failed(error: BaseException) -> int:
    print(f"trio-pool demo: {explained(error)}", file=sys.stderr)
    return 1
