"""How a pool came to be started: what it was given, and whom it tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trio_pool.systemd import Manager
from trio_pool.takeover import Predecessor

if TYPE_CHECKING:
    import socket


@attrs.frozen(eq=False)
class Origin:
    """`sockets` are a service manager's, listening already, and stay its own; `predecessor` is
    the process whose sockets are taken over, and which is told as soon as we serve.
    """

    sockets: tuple[socket.socket, ...] = ()
    manager: Manager = attrs.field(factory=Manager)
    predecessor: Predecessor | None = None
