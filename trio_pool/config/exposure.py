"""Whether strangers can come in: said at the start, as nobody notices it by using the pool."""

from __future__ import annotations

import ipaddress

from trio_pool.config.kinds import AuthType
from trio_pool.config.settings import Settings


def exposure(settings: Settings) -> str | None:
    """What to warn of: clients from other machines that need not prove who they are."""
    if settings.auth_type not in (AuthType.TRUST, AuthType.ANY):
        return None
    open_to = [address for address in settings.listen_addr if not _is_loopback(address)]
    if not open_to:
        return None
    return (
        f"auth_type = {settings.auth_type.value} and listen_addr = {', '.join(open_to)}: whoever"
        " reaches this address is let in without a password"
    )


def _is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        # A name or `*`: nobody knows who can reach it.
        return False
