"""The page about the console: what each command does, with the columns that the code has.

What is said of a command stands here; which commands there are, and which columns their tables
have, comes from the code, so that a command without a word, or a word without a command, fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from trio_pool.console.command import VERBS
from trio_pool.console.tables import ADMIN_ONLY, TABLES

_OURS: Final = ("CHANNELS", "PINS", "PREPARED", "TRIO_POOL")
_SHOWN: Final[Mapping[str, str]] = {
    "ACTIVE_SOCKETS": "those of `SOCKETS` whose buffers are not empty",
    "CHANNELS": "who listens for clients that hold no backend, and to what",
    "CLIENTS": "clients, what they do and since when",
    "CONFIG": "settings: value, default, and whether `RELOAD` and `SET` change them",
    "DATABASES": "databases of the file and those that `*` has served",
    "DNS_HOSTS": "servers' names that were looked up",
    "DNS_ZONES": "empty here",
    "FDS": "the listening sockets",
    "LISTS": "how many there are of everything",
    "MEM": "bytes kept for clients, and the process' peak memory",
    "PEERS": "the other processes of the group",
    "PEER_POOLS": "cancel requests on their way to them",
    "PINS": "who keeps a backend beyond a transaction, since when, and the statement that did it",
    "POOLS": "clients and backends by database and user; `maxwait` is the longest wait now;"
    " `sv_active` are lent, `sv_tested` are being reset or checked, or listen for clients",
    "PREPARED": "what is prepared on which backend, and how many clients know it",
    "SERVERS": "backends, and what they do",
    "SOCKETS": "clients and backends, with what is unsent",
    "STATE": "whether everything is paused or suspended",
    "STATS": "sums since the start, and averages of the last `stats_period`; times in µs",
    "STATS_AVERAGES": "the averages alone",
    "STATS_TOTALS": "the sums alone",
    "TOTALS": "sums and averages of all databases together",
    "TRIO_POOL": "version, replays, evictions, pins by reason and other figures of our own",
    "USERS": "users, with their limits",
    "VERSION": "`PgBouncer 1.25.2`, because tools read it",
}
_ORDERS: Final[Mapping[str, tuple[str, str]]] = {
    "DISABLE": ("DISABLE db", "no new clients for a database"),
    "ENABLE": ("ENABLE db", "new clients again"),
    "KILL": (
        "KILL [db]",
        "end its clients and close its backends at once; new ones wait for `RESUME`",
    ),
    "KILL_CLIENT": ("KILL_CLIENT id", "end one client, by its `id` in `SHOW CLIENTS`"),
    "PAUSE": (
        "PAUSE [db]",
        "lend no backend any more; answers when the last transaction is over and all are closed",
    ),
    "RECONNECT": ("RECONNECT [db]", "replace every backend, those at work when they come back"),
    "RELOAD": ("RELOAD", "read the configuration again, all of it or nothing"),
    "RESUME": ("RESUME [db]", "the end of `PAUSE`, `KILL` and `SUSPEND`"),
    "SET": ("SET key = value", "change a setting that `SHOW CONFIG` calls changeable"),
    "SHUTDOWN": (
        "SHUTDOWN [WAIT_FOR_SERVERS | WAIT_FOR_CLIENTS]",
        "stop at once; at the next transaction boundary of each; when all have left",
    ),
    "SUSPEND": (
        "SUSPEND",
        "hold everything still until `RESUME`, or until the last console leaves",
    ),
    "WAIT_CLOSE": (
        "WAIT_CLOSE [db]",
        "answers when what `RECONNECT` or `RELOAD` replaces is closed",
    ),
}

_HEAD: Final = """\
# The console

Made from `trio_pool/console/`; do not edit. The pool answers questions and takes orders on the
database `pgbouncer`, at its usual port:

```sh
trio-pool console postgresql://user:password@127.0.0.1:6432/pgbouncer -c "show pools"
psql postgresql://user:password@127.0.0.1:6432/pgbouncer -c "show clients"
```

`admin_users` may say everything, `stats_users` may say SHOW (but not SHOW FDS). The account that
runs the pool needs no password as user `pgbouncer` over the unix socket. Names, columns, order and
types are those of PgBouncer 1.25.2, so that its tools work; what is ours has tables of its own.

- Every driver can talk to it: extended protocol, binary results, empty queries, comments, several
  statements and BEGIN/COMMIT are answered; SET of a driver's own settings is ignored with a notice.
- Errors have PostgreSQL's codes: 42601 for what is no command, 42501 for what is not allowed,
  3D000 for an unknown database, 55000 for the wrong state.
- `SELECT x` is `SHOW x`, as in PgBouncer. `SHOW HELP` answers with a notice.
"""
_TAIL: Final = """\
- `PAUSE` that is cancelled (Ctrl-C in psql) is taken back. `RESUME` from elsewhere ends it with an
  error.
- `KILL` and `KILL_CLIENT` end clients with `admin forced disconnect` (57P01).
- `SHUTDOWN` alone does not answer: the end of the connection is the answer.
- `RELOAD` answers an error that names the file and line; then nothing has changed.
- `SET key = value` holds until the next `RELOAD` or restart.
- `query_time` is the time in which a server was asked something; `xact_time` is that and the time
  between the statements of a transaction.
"""


def console_page() -> str:
    """Every question and order, with what it answers."""
    theirs = [name for name in sorted(TABLES) if name not in _OURS]
    return f"""{_HEAD}
## Questions

{_questions(theirs)}

Of our own:

{_questions(_OURS)}

## Orders

{_orders()}

{_TAIL}
## Columns

Numbers are integers but where the table says otherwise: those of the statistics are `numeric`.

{_columns()}
"""


def _questions(names: Sequence[str]) -> str:
    rows = "\n".join(
        f"| `SHOW {name}` | {_SHOWN[name]}{' (admins only)' if name in ADMIN_ONLY else ''} |"
        for name in names
    )
    return f"| | shows |\n|---|---|\n{rows}"


def _orders() -> str:
    if set(_ORDERS) != set(VERBS) - {"SHOW"} | {"SET"} or set(_SHOWN) != set(TABLES):
        raise LookupError("a command has no word, or a word no command")
    rows = "\n".join(f"| `{_escaped(usage)}` | {does} |" for usage, does in _ORDERS.values())
    return f"| | does |\n|---|---|\n{rows}"


def _escaped(text: str) -> str:
    return text.replace("|", r"\|")


def _columns() -> str:
    rows = "\n".join(
        f"| `{name}` | {', '.join(column.name.decode() for column in TABLES[name])} |"
        for name in sorted(TABLES)
    )
    return f"| table | columns |\n|---|---|\n{rows}"
