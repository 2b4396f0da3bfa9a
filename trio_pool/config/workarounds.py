"""Settings that were a way round something that is no obstacle here.

People copy them from file to file. Each may stay: it does what it says. What it costs, or hides,
is the reason to delete it.
"""

from __future__ import annotations

from typing import Final

import attrs


@attrs.frozen
class Workaround:
    """A setting that nobody needs here: with any value, or with `value` only."""

    setting: str
    reason: str
    value: str | None = None


WORKAROUNDS: Final = (
    Workaround(
        "ignore_startup_parameters",
        "no startup parameter is refused here; without this line each is a setting of its client",
    ),
    Workaround(
        "max_prepared_statements",
        "prepared statements work; with 0 a backend keeps one, and all others are prepared again"
        " and again",
        "0",
    ),
    Workaround(
        "server_reset_query_always",
        "no client meets what another one left; this asks the server once more per transaction",
        "1",
    ),
    Workaround(
        "pool_mode",
        "if it is for prepared statements, SET or LISTEN: these work with pool_mode = transaction",
        "session",
    ),
)


def why_not_needed(setting: str, value: str) -> str | None:
    """Why this line of a file can go, where it can."""
    for known in WORKAROUNDS:
        if known.setting == setting and value and known.value in (None, value):
            return known.reason
    return None
