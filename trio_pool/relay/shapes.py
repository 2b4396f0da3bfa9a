"""What of a row description a client may rely on.

PostgreSQL lets a prepared statement live on when its result columns keep their names, types
and modifiers (utils/cache/plancache.c, RevalidateCachedQuery); which table and column number
they come from may change, as after DROP and CREATE of the same table.
"""

from __future__ import annotations

from typing import Final

# Per column, behind the name: table oid (4), attribute number (2), type oid (4), type size (2),
# type modifier (4), format (2).
_ORIGIN_BYTES: Final = 6
_TYPE_BYTES: Final = 10
_FIXED_BYTES: Final = 18


def comparable_shape(body: bytes) -> bytes:
    """The part of a RowDescription body that must stay equal from Parse to Bind.

    Never empty for a real description, so that it differs from "no rows".
    """
    pieces = [body[:2]]
    position = 2
    while position < len(body):
        end = body.find(b"\0", position)
        if end < 0:
            break
        types = end + 1 + _ORIGIN_BYTES
        pieces.append(body[position : end + 1])
        pieces.append(body[types : types + _TYPE_BYTES])
        position = end + 1 + _FIXED_BYTES
    return b"".join(pieces)
