"""`trio-pool hash`: the line of a user list (`auth_file`) for a password that nobody else sees.

The password is read without being shown, or from the standard input; never from the command line,
which every account of the machine can read.
"""

from __future__ import annotations

import getpass
import json
import secrets
import sys

from protocol.scram import ITERATIONS_DEFAULT, make_verifier
from protocol.stored_secrets import md5_secret
from trio_pool.config.userlist import userlist_line

_SALT_BYTES = 16


def run(*, user: str, md5: bool, iterations: int | None, as_json: bool) -> int:
    """Ask for the password and print the line; the exit status."""
    password = _read()
    if not password:
        print("trio-pool: the passwords are empty or differ\n  try again", file=sys.stderr)
        return 1
    secret = stored(user, password, md5, iterations or ITERATIONS_DEFAULT)
    if as_json:
        print(json.dumps({"user": user, "secret": secret}))
    else:
        print(userlist_line(user, secret))
    return 0


def stored(user: str, password: str, md5: bool, iterations: int) -> str:
    """What is stored of a password: an MD5 digest or a SCRAM verifier."""
    if md5:
        return md5_secret(user.encode(), password.encode()).text.decode()
    salt = secrets.token_bytes(_SALT_BYTES)
    return make_verifier(password.encode(), salt, iterations).encode().decode()


def _read() -> str:
    """The password; empty when what was typed twice is not the same."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    return first if getpass.getpass("Again: ") == first else ""
