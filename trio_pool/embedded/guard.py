"""A last resort against leftovers: a shell that outlives us for a moment.

A `with` block cleans up on every way out of a living process. One that is killed runs nothing
any more; then the shell, which holds the other end of a pipe, reads its end and does the work:
it stops the server and removes the directory.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# $1 is the directory. A word on the pipe means that all is done already. Without a pid file
# initdb may still be writing; it is given the time to end. The pid is the server's for as
# long as the file is there: the server itself removes it.
_SCRIPT: Final = """
read -r word && exit 0
file="$1/data/postmaster.pid"
[ -e "$file" ] || sleep 5
while [ -e "$file" ]; do
    kill -INT "$(head -n 1 "$file")" || break
    sleep 0.2
done
rm -rf "$1"
"""


@contextlib.contextmanager
def guarded(directory: Path) -> Iterator[None]:
    """Have `directory` and the cluster in it removed even if this process is killed."""
    guard = subprocess.Popen(
        ["/bin/sh", "-c", _SCRIPT, "trio-pool-guard", str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        # Why: what ends us from the terminal must not end the guard.
        start_new_session=True,
    )
    try:
        yield
    finally:
        guard.communicate(b"done\n")
