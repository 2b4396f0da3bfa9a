"""What the process needs from its system before it serves: descriptors, an account, a pid file.

A soft limit of 1024 descriptors makes a pooler of thousands of clients hang without a word
when it is met in the middle of the day; so it is looked at before the first client.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pwd
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trio_pool.config import Config

# Listening sockets, log files, the poller, cancel requests, a few to spare.
DESCRIPTORS_BESIDES: Final = 64

_SWITCH_SECONDS: Final = 0.0005

# More than all buffers that large data passes through at once; twice as much is kept.
_BUFFERS_BYTES: Final = 4 << 20

# Thresholds of the collector's three generations: 5,000 new objects are looked at in 1 to 2 ms,
# four times that in 5 to 8.
_NEW_OBJECTS: Final = 5_000
_YOUNG_PORTIONS: Final = 4
_FULL_COLLECTION_AFTER: Final = 100


def descriptors_needed(config: Config) -> int:
    """How many descriptors full use of this configuration takes.

    Databases that `*` stands for and users beyond those with a secret cannot be counted; each
    is taken as one.
    """
    users = max(1, len(config.secrets))
    backends = 0
    for database in config.databases.values():
        size = database.pool_size
        size = config.settings.default_pool_size if size is None else size
        most = size * (1 if database.user is not None else users)
        cap = database.max_db_connections or config.settings.max_db_connections
        backends += min(most, cap) if cap else most
    return config.settings.max_client_conn + backends + DESCRIPTORS_BESIDES


def ensure_descriptors(needed: int) -> str | None:
    """Raise the soft limit as far as needed; a warning when the hard limit is in the way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return None
    reachable = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if reachable > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    if reachable >= needed:
        return None
    return (
        f"this configuration may need {needed} file descriptors and the system allows {hard}: "
        f"clients beyond that are refused; raise it (ulimit -n {needed}, or LimitNOFILE= in "
        "systemd) or lower max_client_conn"
    )


def tune_collector() -> None:
    """Keep the cyclic collector from stopping the loop; for a process that is a pool, no more.

    What was made so far stays for good and is not looked at again. A session holds no cycles and
    needs no collector; but every full collection looks at all of them, which takes about 15 ms per
    thousand. So only what is new is looked at, in small portions (a few milliseconds), and
    everything once some millions of objects have stayed.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, _YOUNG_PORTIONS, _FULL_COLLECTION_AFTER)


def favour_the_loop() -> None:
    """Let no thread of ours hold the loop up for longer than half a millisecond.

    Threads hash, read configurations and write the log. Each system call of the loop gives the
    interpreter to whoever waits for it, who need not hand it back for 5 ms unless told otherwise.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)


def keep_buffers() -> None:
    """Have the C library keep a few megabytes that are free, instead of giving them back at once.

    Large data passes through buffers of 256 KiB each. Where those lie at the end of the heap glibc
    returns them when they are freed, and the system clears the same pages for the next ones, which
    is a fifth of what a COPY costs. How much glibc keeps follows the largest block that was ever
    freed (malloc(3), M_MMAP_THRESHOLD), so one is; it is never written to, and takes no memory.
    """
    bytes(_BUFFERS_BYTES)


def become(account: str) -> None:
    """Give up root for a system account; nothing when we are not root.

    Raises KeyError for an account that does not exist.
    """
    entry = pwd.getpwnam(account)
    if os.geteuid() != 0 or entry.pw_uid == 0:
        return
    os.initgroups(account, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def account_name(number: int | None) -> str | None:
    """The name of a system account; None for one that does not exist."""
    try:
        return None if number is None else pwd.getpwuid(number).pw_name
    except KeyError:
        return None


@contextlib.contextmanager
def pid_file(name: str, succeeding: bool = False) -> Iterator[None]:
    """Hold a pid file for as long as the block lasts; an empty name means none.

    Who takes another's place (`succeeding`) takes its pid file too; who has lost it leaves it
    alone. Raises FileExistsError when another living process holds it, OSError when it cannot be
    written.
    """
    if not name:
        yield
        return
    path = Path(name)
    if not succeeding:
        _refuse_if_held(path)
    own = f"{os.getpid()}\n"
    path.write_text(own)
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            if path.read_text() == own:
                path.unlink()


def _refuse_if_held(path: Path) -> None:
    try:
        holder = int(path.read_text())
        os.kill(holder, 0)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return
    except PermissionError:
        pass  # It lives, under another account.
    if holder != os.getpid():
        raise FileExistsError(f"{path} is held by process {holder}, which is running")
