"""The auth_file: who may log in, and by which secret.

One `"user" "secret"` per line; `""` stands for a quote, the rest of a line is ignored, a line
that starts with `;` is a comment. A secret is a password, an `md5...` hash or a `SCRAM-SHA-256$`
verifier; it never appears in a complaint.
"""

from __future__ import annotations

import re
from pathlib import Path

from trio_pool.config.errors import ConfigError

_LINE = re.compile(r'"((?:[^"]|"")*)"\s*"((?:[^"]|"")*)"(?!")')


def parse_userlist(text: str, path: Path) -> dict[str, str]:
    """User name to secret; of two lines for one user the later counts. Raises ConfigError."""
    secrets: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith(";"):
            continue
        found = _LINE.match(line)
        if found is None:
            raise ConfigError(
                "expected two quoted texts", path, number, 'write "user" "secret" on one line'
            )
        user, secret = (part.replace('""', '"') for part in found.groups())
        secrets[user] = secret
    return secrets


def userlist_line(user: str, secret: str) -> str:
    """The line of a user list for this user: quotes are doubled."""
    return " ".join('"' + text.replace('"', '""') + '"' for text in (user, secret))
