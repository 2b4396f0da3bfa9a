"""The settings a client must find on its next backend.

    environments  what a client has set, as one tuple that is compared by identity
    client        what one client has set, at startup and since
    backend       what a backend has
    difference    what the one needs and the other has not
    commands      SQL that sets, and that asks for all there is

A custom setting, once made, stays in its session with an empty value at the least
(trio_pool.customs). A client has those it made itself; a backend has those of all it has served.
"""

from trio_pool.settings.backend import BackendSettings
from trio_pool.settings.client import ClientSettings
from trio_pool.settings.commands import decode_answer, question, quote_literal, set_all, set_config
from trio_pool.settings.difference import (
    applied,
    difference,
    differing,
    reading_differs,
    settled,
    told_otherwise,
)
from trio_pool.settings.environments import REPORTED, Environment, Environments, canonical

__all__ = [
    "REPORTED",
    "BackendSettings",
    "ClientSettings",
    "Environment",
    "Environments",
    "applied",
    "canonical",
    "decode_answer",
    "difference",
    "differing",
    "question",
    "quote_literal",
    "reading_differs",
    "set_all",
    "set_config",
    "settled",
    "told_otherwise",
]
