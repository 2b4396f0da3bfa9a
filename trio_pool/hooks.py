"""What a program that embeds a pool can have called: at a login, at a text, before a lease.

Hooks are plain functions. They are called from the sweep that serves everybody, so they must be
quick and cannot wait. One that raises ends the client concerned and nobody else: with `Refused`
the client is told what the hook says, with anything else that a hook failed (the traceback goes
to the log). Without hooks nothing of this is in the way of any message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, ParamSpec

import attrs

from trio_pool.errors import Ending, HookFailed
from trio_pool.journal import Journal

log = Journal(__name__)

P = ParamSpec("P")


@attrs.frozen(kw_only=True)
class Client:
    """Who a hook is called about. `number` is that of the session in log and console, 0 before
    there is one; `address` is ("unix", port) over a unix socket.
    """

    number: int
    user: str
    database: str
    address: tuple[str, int]


@attrs.frozen(kw_only=True)
class Hooks:
    """What is to be called, and when.

    `on_authentication`: a client has proved who it is, and is not served yet. `on_lend`: a client
    without a backend says something that needs one; a lease is a transaction in transaction
    pooling. `on_query`: a client sent a text, in Query or Parse, which the server has not seen;
    a prepared statement that is executed again sends none. Refusing it closes the client.
    """

    on_authentication: Callable[[Client], None] | None = None
    on_lend: Callable[[Client], None] | None = None
    on_query: Callable[[Client, str], None] | None = None


NO_HOOKS: Final = Hooks()


def call(hook: Callable[P, None] | None, *given: P.args, **named: P.kwargs) -> None:
    """Call a hook, if there is one. Raises the Ending that its client comes to."""
    if hook is None:
        return
    try:
        hook(*given, **named)
    except Ending:
        raise
    except Exception as failure:
        log.exception("a hook failed")
        raise HookFailed() from failure
