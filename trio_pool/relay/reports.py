"""What the server says about names and positions, told in the client's terms.

Only ErrorResponse and NoticeResponse come here, and only those that mention one of the pool's
names or point into a text that was written anew.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from protocol import backend as messages
from protocol.errors import ProtocolViolation
from protocol.sql.rewrite import Replacement, original_position
from trio_pool.relay.state import Relay


def edit_for_plan(body: bytes, original: bytes, replacements: Sequence[Replacement]) -> bytes:
    """The report with its position moved into the original text."""
    if not replacements:
        return body
    try:
        report = messages.decode_error_response(body)
    except ProtocolViolation:
        return body
    position = report.get("P")
    if position is None or not position.isdigit():
        return body
    moved = original_position(int(position), replacements, original)
    return report.replace({"P": b"%d" % moved}).encode()[5:]


def rename(relay: Relay, body: bytes, alias: bytes | None = None) -> bytes:
    """The report with every name of the pool's exchanged for the client's.

    `alias` is the one that counts when the client has several for the same statement.
    """
    pattern = re.escape(relay.pool.prefix) + rb"[0-9a-f]+"
    if alias is not None:
        return re.sub(pattern, lambda _: alias, body)
    return re.sub(pattern, lambda found: _client_name(relay, found.group()), body)


def _client_name(relay: Relay, server_name: bytes) -> bytes:
    backend = relay.backend
    alias = relay.aliases.get(server_name)
    if alias is not None or backend is None:
        return alias or b""
    for name, statement in relay.client.names.items():
        if backend.statements.names.get(statement) == server_name:
            return name
    return b""
