"""auth_query: a user's secret, asked of a server when the user list does not have it; and which
roles it is a member of, where auth_hba_file speaks of groups.

The question travels on connections of its own, logged in as auth_user, that never carry a
client's setting: a search_path from a startup packet must not decide which table answers
(CVE-2025-12819). The answer is asked for anew at every login, so that a changed password or
VALID UNTIL counts at once.
"""

from __future__ import annotations

import base64
import secrets
from typing import Final

import trio

from protocol import frontend
from protocol.backend import decode_data_row, decode_error_response
from protocol.errors import AuthenticationRefused, ProtocolViolation, ServerRefused
from protocol.framing import FrameReader
from protocol.handshake import is_scram_challenge, log_in
from protocol.stored_secrets import Secret, parse_secret
from protocol.tags import BackendTag
from trio_pool.conduct import Hasher, PeerClosed, conduct, next_message
from trio_pool.config import Settings
from trio_pool.credentials import SecretLookup
from trio_pool.errors import LookupFailed
from trio_pool.journal import Journal
from trio_pool.opening import login_policy, open_encrypted
from trio_pool.resolver import Resolver
from trio_pool.tls_settings import Encryption

log = Journal(__name__)

# Limit: connections for such questions at once, and kept open for the next one.
_ASKED_AT_ONCE: Final = 4
_KEPT: Final = 1
_MESSAGE_BYTES_MAX: Final = 1_048_576
_NONCE_BYTES: Final = 18
# Membership as pg_hba.conf means it: who grants nothing to a superuser does not count it in
# (utils/adt/acl.c, is_member_of_role_nosuper).
_ROLES: Final = """
with recursive held (oid) as (
    select oid from pg_catalog.pg_roles where rolname = $1
    union
    select given.roleid from pg_catalog.pg_auth_members given join held on given.member = held.oid
)
select rolname from held join pg_catalog.pg_roles using (oid)"""

Rows = list[tuple[bytes | None, ...]]
_FAILURES: Final = (
    *(OSError, trio.TooSlowError, trio.BrokenResourceError, PeerClosed),
    *(ServerRefused, AuthenticationRefused, ProtocolViolation),
)


class _Asker:
    """One connection as auth_user."""

    def __init__(self, stream: trio.abc.Stream, reader: FrameReader) -> None:
        self.stream = stream
        self.reader = reader

    async def ask(self, query: str, user: bytes) -> Rows:
        """The rows of the answer. Raises ServerRefused and PeerClosed."""
        question = [
            frontend.parse(b"", query.encode()),
            frontend.bind(parameters=[user]),
            frontend.execute(),
            frontend.sync(),
        ]
        await self.stream.send_all(b"".join(question))
        rows: Rows = []
        refusal: ServerRefused | None = None
        while True:
            tag, body = await next_message(self.stream, self.reader)
            if tag == BackendTag.DATA_ROW:
                rows.append(decode_data_row(body).values)
            elif tag == BackendTag.ERROR:
                refusal = ServerRefused(decode_error_response(body).fields)
            elif tag == BackendTag.READY_FOR_QUERY:
                if refusal is not None:
                    raise refusal
                return rows


class Lookups:
    """Asks servers for secrets; a few at a time, over connections that are kept."""

    def __init__(self, hasher: Hasher, resolver: Resolver) -> None:
        self._hasher = hasher
        self._resolver = resolver
        self._limiter = trio.CapacityLimiter(_ASKED_AT_ONCE)
        self._kept: dict[SecretLookup, list[_Asker]] = {}

    async def secret_of(
        self, user: bytes, lookup: SecretLookup, settings: Settings, encryption: Encryption
    ) -> Secret | None:
        """The secret, or None for a user that has none. Raises LookupFailed."""
        rows = await self._answer(lookup.query, user, lookup, settings, encryption)
        if not rows or len(rows[0]) < 2 or rows[0][1] is None:
            return None
        return parse_secret(rows[0][1].decode("utf-8", "surrogateescape"))

    async def roles_of(
        self, user: bytes, lookup: SecretLookup, settings: Settings, encryption: Encryption
    ) -> frozenset[str]:
        """The roles that the user is a member of, itself included. Raises LookupFailed."""
        rows = await self._answer(_ROLES, user, lookup, settings, encryption)
        return frozenset((row[0] or b"").decode("utf-8", "surrogateescape") for row in rows)

    async def _answer(
        self,
        query: str,
        user: bytes,
        lookup: SecretLookup,
        settings: Settings,
        encryption: Encryption,
    ) -> Rows:
        seconds = settings.server_connect_timeout or float("inf")
        try:
            with trio.fail_after(seconds):
                async with self._limiter:
                    return await self._rows(query, user, lookup, settings, encryption)
        except _FAILURES as failure:
            log.warning("auth_query failed in %s: %s", lookup.database.name, failure)
            raise LookupFailed() from failure

    async def _rows(
        self,
        query: str,
        user: bytes,
        lookup: SecretLookup,
        settings: Settings,
        encryption: Encryption,
    ) -> Rows:
        kept = self._kept.setdefault(lookup, [])
        asker = kept.pop() if kept else None
        if asker is not None:
            try:
                return await self._ask(asker, query, user, lookup)
            except (PeerClosed, trio.BrokenResourceError, ServerRefused):
                # It may have been closed since it was last used: that says nothing.
                log.debug("a connection for auth_query was gone")
        asker = await self._open(lookup, settings, encryption)
        return await self._ask(asker, query, user, lookup)

    async def _ask(self, asker: _Asker, query: str, user: bytes, lookup: SecretLookup) -> Rows:
        kept = self._kept[lookup]
        try:
            rows = await asker.ask(query, user)
        except BaseException:
            await trio.aclose_forcefully(asker.stream)
            raise
        if len(kept) < _KEPT:
            kept.append(asker)
        else:
            await trio.aclose_forcefully(asker.stream)
        return rows

    async def _open(
        self, lookup: SecretLookup, settings: Settings, encryption: Encryption
    ) -> _Asker:
        stream, _ = await open_encrypted(
            lookup.database, settings, encryption, resolver=self._resolver
        )
        reader = FrameReader(_MESSAGE_BYTES_MAX)
        exchange = log_in(
            lookup.login.credentials(),
            [(b"database", lookup.database.dbname.encode("utf-8", "surrogateescape"))],
            nonce=base64.b64encode(secrets.token_bytes(_NONCE_BYTES)),
            policy=login_policy(lookup.database, stream),
        )
        try:
            await conduct(exchange, stream, reader, self._hasher, is_scram_challenge)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return _Asker(stream, reader)

    async def close(self) -> None:
        """Close what is kept: the configuration has changed, or the pooler stops."""
        kept, self._kept = self._kept, {}
        for askers in kept.values():
            for asker in askers:
                await trio.aclose_forcefully(asker.stream)
