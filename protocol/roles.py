"""What a reply is to a request: its end, a part of it, or nothing that belongs to it.

PostgreSQL's documentation, "Message Flow" and "Message Formats".
"""

from __future__ import annotations

from typing import Final

from protocol.tags import BackendTag, FrontendTag

# The replies that end each request. Anything else that arrives meanwhile is an intermediate
# reply and shares the fate of the request at the head of the queue.
SETTLED_BY: Final[dict[int, bytes]] = {
    FrontendTag.PARSE: bytes([BackendTag.PARSE_COMPLETE]),
    FrontendTag.BIND: bytes([BackendTag.BIND_COMPLETE]),
    FrontendTag.DESCRIBE: bytes([BackendTag.ROW_DESCRIPTION, BackendTag.NO_DATA]),
    FrontendTag.EXECUTE: bytes(
        [BackendTag.COMMAND_COMPLETE, BackendTag.EMPTY_QUERY, BackendTag.PORTAL_SUSPENDED]
    ),
    FrontendTag.CLOSE: bytes([BackendTag.CLOSE_COMPLETE]),
    FrontendTag.SYNC: bytes([BackendTag.READY_FOR_QUERY]),
    FrontendTag.QUERY: bytes([BackendTag.READY_FOR_QUERY]),
    FrontendTag.FUNCTION_CALL: bytes([BackendTag.READY_FOR_QUERY]),
}

# Replies that accompany a request without ending it.
_ALONGSIDE: Final[dict[int, bytes]] = {
    FrontendTag.PARSE: b"",
    FrontendTag.BIND: b"",
    FrontendTag.DESCRIBE: b"t",
    FrontendTag.EXECUTE: b"DGHdcT",
    FrontendTag.CLOSE: b"",
    FrontendTag.SYNC: b"",
    FrontendTag.QUERY: b"CITDGHdcn",
    FrontendTag.FUNCTION_CALL: b"V",
}

# What a reply is to a request: it ends it, it is one of many rows, or it comes along with it.
UNEXPECTED: Final = 0
ENDS: Final = 1
ACCOMPANIES: Final = 2
ROW: Final = 3


def _roles(kind: int) -> bytes:
    roles = bytearray(256)
    for tag in SETTLED_BY.get(kind, b""):
        roles[tag] = ENDS
    for tag in _ALONGSIDE.get(kind, b""):
        bulk = tag in (BackendTag.DATA_ROW, BackendTag.COPY_DATA)
        roles[tag] = ROW if bulk else ACCOMPANIES
    return bytes(roles)


# By kind of request, then by tag of the reply: two looks for what would take several.
ROLES: Final[list[bytes]] = [_roles(kind) for kind in range(256)]
# For whoever wants to be asked about each of them.
NO_ROLES: Final = bytes(256)
