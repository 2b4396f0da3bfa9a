"""A client of a pooler's admin console, PgBouncer's or ours: simple queries and their tables."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from typing import Final

import attrs
import trio

from protocol import frontend
from protocol.backend import (
    decode_command_complete,
    decode_data_row,
    decode_error_response,
    decode_notice_response,
    decode_row_description,
)
from protocol.errors import AuthenticationRefused, ProtocolViolation, ServerRefused
from protocol.framing import FrameReader
from protocol.handshake import is_scram_challenge, log_in
from protocol.tags import BackendTag
from trio_pool.conduct import Hasher, PeerClosed, conduct, next_message
from trio_pool.config import CONSOLE, config_from_url
from trio_pool.config.url import parse_url
from trio_pool.credentials import server_login
from trio_pool.opening import login_policy, open_encrypted
from trio_pool.tls_settings import encryption_of

_MESSAGE_BYTES_MAX: Final = 16 * 1_048_576


class ConsoleUnreachable(Exception):
    """There is no console at this URL, or it has gone; the text says why and what to do."""


@attrs.define
class Table:
    """What one command answered with; without columns it is a tag alone."""

    columns: tuple[str, ...] = ()
    rows: list[tuple[str | None, ...]] = attrs.field(factory=list)
    tag: str = ""

    def records(self) -> list[dict[str, str | None]]:
        """The rows by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@attrs.define
class Reply:
    """Everything that a text was answered with."""

    tables: list[Table] = attrs.field(factory=list)
    notices: list[str] = attrs.field(factory=list)
    error: str | None = None


class Console:
    """A console that is logged in; belongs to one task. `ask` raises ConsoleUnreachable."""

    def __init__(self, stream: trio.abc.Stream, reader: FrameReader) -> None:
        self._stream = stream
        self._reader = reader

    async def ask(self, text: str) -> Reply:
        """Send a text and wait for all of the answer."""
        reply, table = Reply(), Table()
        try:
            await self._stream.send_all(frontend.query(text.encode()))
            while True:
                tag, body = await next_message(self._stream, self._reader)
                if tag == BackendTag.READY_FOR_QUERY:
                    return reply
                if tag == BackendTag.ROW_DESCRIPTION:
                    names = [column.name for column in decode_row_description(body).columns]
                    table.columns = tuple(_text(name) or "" for name in names)
                elif tag == BackendTag.DATA_ROW:
                    table.rows.append(tuple(map(_text, decode_data_row(body).values)))
                elif tag == BackendTag.COMMAND_COMPLETE:
                    table.tag = _text(decode_command_complete(body).tag) or ""
                    reply.tables.append(table)
                    table = Table()
                elif tag == BackendTag.NOTICE:
                    notice = decode_notice_response(body)
                    parts = (_text(notice.get("M")), _text(notice.get("D")))
                    reply.notices.append("\n".join(part for part in parts if part))
                elif tag == BackendTag.ERROR:
                    error = decode_error_response(body)
                    hint = _text(error.get("H"))
                    reply.error = error.message + (f"\n  {hint}" if hint else "")
        except (PeerClosed, trio.BrokenResourceError, ProtocolViolation) as failure:
            raise ConsoleUnreachable(reply.error or "the pooler closed the connection") from failure

    async def show(self, table: str) -> list[dict[str, str | None]] | None:
        """The rows of a SHOW; None when there is no such table."""
        reply = await self.ask(f"SHOW {table}")
        return None if reply.error is not None else reply.tables[0].records()


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


@contextlib.asynccontextmanager
async def open_console(url: str, seconds_max: float = 15.0) -> AsyncIterator[Console]:
    """The console at a URL, whose database is `pgbouncer` unless it names one.

    PGPASSWORD serves for a URL without a password. Raises ConfigError and ConsoleUnreachable.
    """
    place = parse_url(url)
    config = config_from_url(url, default_password=os.environ.get("PGPASSWORD"))
    name = place.dbname or CONSOLE
    database = config.database(name)
    assert database is not None
    login = server_login(config, database, place.user or CONSOLE)
    where = f"{place.host}:{place.port}"
    reader = FrameReader(_MESSAGE_BYTES_MAX)
    async with contextlib.AsyncExitStack() as stack:
        try:
            with trio.fail_after(seconds_max):
                encryption = encryption_of(config.settings)
                stream, _ = await open_encrypted(database, config.settings, encryption)
                await stack.enter_async_context(stream)
                exchange = log_in(
                    login.credentials(),
                    [(b"database", name.encode())],
                    nonce=base64.b64encode(secrets.token_bytes(18)),
                    policy=login_policy(database, stream),
                )
                await conduct(exchange, stream, reader, Hasher(), is_scram_challenge)
        except (ServerRefused, AuthenticationRefused) as refused:
            hint = "the user must be in admin_users or stats_users; see PGPASSWORD"
            raise ConsoleUnreachable(f"{where} refuses {login.user}: {refused}\n  {hint}") from None
        except (OSError, trio.TooSlowError, PeerClosed, ProtocolViolation) as failure:
            words = str(failure) or "it does not answer"
            hint = "is a pooler running there? Its port is listen_port (6432)"
            raise ConsoleUnreachable(f"no console at {where}: {words}\n  {hint}") from None
        yield Console(stream, reader)
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(frontend.terminate())
