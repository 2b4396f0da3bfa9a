"""The flags of the commands in this package, and what completion needs to know of all flags.

Imported for every `--help`: nothing here that takes time.
"""

from __future__ import annotations

import argparse
from typing import Final

_DEFAULT_URL: Final = "postgresql://pgbouncer@127.0.0.1:6432/pgbouncer"


def _add_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "url",
        metavar="URL",
        nargs="?",
        default=_DEFAULT_URL,
        help=f"of its console, default {_DEFAULT_URL}; PGPASSWORD is read",
    )


def add_init(parser: argparse.ArgumentParser) -> None:
    """Of `trio-pool init`."""
    parser.description = (
        "Writes pgbouncer.ini and userlist.txt for the server of URL, or asks; PGPASSWORD is read."
    )
    parser.add_argument("url", metavar="URL", nargs="?", help="a connection URL")
    parser.add_argument("--directory", default=".", metavar="DIR", help="where, default: here")
    parser.add_argument("--listen-addr", default="127.0.0.1", metavar="ADDR", help="listen there")
    parser.add_argument("-p", "--port", type=int, default=6432, help="listen on this port")
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")
    parser.add_argument("--json", action="store_true", help="say what was written as JSON")


def add_top(parser: argparse.ArgumentParser) -> None:
    """Of `trio-pool top`."""
    parser.description = "Shows PgBouncer as well. NO_COLOR is heeded; Ctrl-C ends it."
    _add_url(parser)
    parser.add_argument("--once", action="store_true", help="one picture, after a second")
    parser.add_argument("--json", action="store_true", help="pictures as JSON, one per line")
    parser.add_argument("--seconds", type=float, default=1.0, help="between two pictures")


def add_console(parser: argparse.ArgumentParser) -> None:
    """Of `trio-pool console`."""
    parser.description = "Without -c, commands are read from the terminal or the standard input."
    _add_url(parser)
    parser.add_argument(
        *("-c", "--command"),
        dest="say",
        action="append",
        default=[],
        help="carry this out; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="answers as JSON, one per line")


def add_hash(parser: argparse.ArgumentParser) -> None:
    """Of `trio-pool hash`."""
    parser.description = "The password is asked for, or is the first line of the standard input."
    parser.add_argument("user", metavar="USER")
    parser.add_argument("--md5", action="store_true", help="an MD5 digest, not a SCRAM verifier")
    parser.add_argument("--iterations", type=int, help="of SCRAM's hash, default 4096")
    parser.add_argument("--json", action="store_true", help="as JSON")


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Of `trio-pool completion`."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def described(
    parser: argparse.ArgumentParser,
) -> dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Of each command: its help, its flags, and what its arguments may be."""
    found = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, command in action.choices.items():
                own = [a for a in command._actions if a.help != argparse.SUPPRESS]
                flags = tuple(flag for a in own for flag in a.option_strings)
                choices = tuple(str(c) for a in own for c in a.choices or ())
                found[name] = (helps.get(name, ""), flags, choices)
    return found
