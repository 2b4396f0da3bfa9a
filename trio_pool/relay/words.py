"""What the server would have said, where it cannot because the text was written anew.

The words, codes and routines are PostgreSQL's: drivers look at SQLSTATE and routine, people at
the message.
"""

from __future__ import annotations

from typing import Final

from protocol import backend as messages

# utils/cache/plancache.c, for a prepared statement whose rows changed.
CACHED_PLAN: Final = messages.error_response(
    "ERROR",
    "0A000",
    "cached plan must not change result type",
    F="plancache.c",
    R="RevalidateCachedQuery",
)


def truncation_notice(written: bytes, name: bytes) -> bytes:
    """parser/scansup.c, for an identifier that is longer than a name can be."""
    return messages.notice_response(
        "NOTICE",
        "42622",
        f'identifier "{written.decode("utf-8", "replace")}" will be truncated to '
        f'"{name.decode("utf-8", "replace")}"',
        F="scansup.c",
        R="truncate_identifier",
    )
