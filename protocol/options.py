"""The `options` startup parameter: command-line arguments of a backend, as settings.

Clients put `-c name=value` there. The rules for splitting are pg_split_opts
(utils/init/postinit.c), those for the arguments process_postgres_switches
(tcop/postgres.c): every switch is an abbreviation of a setting.

Invariant: `parse_options(format_options(settings)) == settings`, and no text raises anything
but ProtocolViolation with SQLSTATE 42601.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from protocol.errors import ProtocolViolation

# isspace() in the C locale.
_SPACE: Final = b" \t\n\v\f\r"
_SYNTAX_ERROR: Final = "42601"

_FLAGS: Final[dict[bytes, tuple[bytes, bytes]]] = {
    b"-e": (b"datestyle", b"euro"),
    b"-F": (b"fsync", b"false"),
    b"-O": (b"allow_system_table_mods", b"true"),
    b"-P": (b"ignore_system_indexes", b"true"),
    b"-l": (b"ssl", b"true"),
    b"-n": (b"restart_after_crash", b"false"),
    b"-s": (b"log_statement_stats", b"true"),
}
_ABBREVIATIONS: Final[dict[bytes, bytes]] = {
    b"-B": b"shared_buffers",
    b"-h": b"listen_addresses",
    b"-k": b"unix_socket_directories",
    b"-N": b"max_connections",
    b"-p": b"port",
    b"-S": b"work_mem",
    b"-W": b"post_auth_delay",
}


def split_options(text: bytes) -> list[bytes]:
    """The arguments in `text`: separated by white space, a backslash protects any character."""
    arguments: list[bytes] = []
    for match in re.finditer(rb"(?:\\.|[^\\\s]|\\\Z)+", text, re.DOTALL):
        arguments.append(re.sub(rb"\\(.?)", rb"\1", match.group(), flags=re.DOTALL))
    return arguments


def parse_options(text: bytes) -> list[tuple[bytes, bytes]]:
    """The settings in `text`, in order; raises ProtocolViolation (42601) as the server does."""
    arguments = split_options(text)
    settings: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(arguments):
        argument = arguments[at]
        at += 1
        if argument == b"--":
            break
        if argument.startswith(b"--"):
            settings.append(_assignment(argument[2:], b"--"))
        elif argument in _FLAGS:
            settings.append(_FLAGS[argument])
        elif argument[:2] == b"-c" or argument[:2] in _ABBREVIATIONS:
            value = argument[2:]
            if not value:
                if at == len(arguments):
                    raise _invalid(argument)
                value = arguments[at]
                at += 1
            settings.append(_switch(argument[:2], value))
        else:
            raise _invalid(argument)
    if at < len(arguments):
        raise _invalid(arguments[at])
    return settings


def _switch(letter: bytes, value: bytes) -> tuple[bytes, bytes]:
    if letter == b"-c":
        return _assignment(value, b"-c ")
    return _ABBREVIATIONS[letter], value


def _assignment(text: bytes, prefix: bytes) -> tuple[bytes, bytes]:
    name, equals, value = text.partition(b"=")
    if not equals:
        shown = (prefix + text).decode("utf-8", "replace")
        raise ProtocolViolation(f"{shown} requires a value", _SYNTAX_ERROR)
    # ParseLongOption (utils/misc/guc.c): dashes in names stand for underscores.
    return name.replace(b"-", b"_"), value


def _invalid(argument: bytes) -> ProtocolViolation:
    shown = argument.decode("utf-8", "replace")
    return ProtocolViolation(
        f"invalid command-line argument for server process: {shown}",
        _SYNTAX_ERROR,
        hint='Try "postgres --help" for more information.',
    )


def format_options(settings: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The text that `parse_options` reads as these settings."""
    arguments = [b"-c " + _protect(name + b"=" + value) for name, value in settings]
    return b" ".join(arguments)


def _protect(argument: bytes) -> bytes:
    return re.sub(rb"([\\" + _SPACE + rb"])", rb"\\\1", argument)
