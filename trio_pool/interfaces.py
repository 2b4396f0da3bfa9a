"""The addresses of this machine, with their networks: `samehost` and `samenet` in auth_hba_file.

Python's library lists the names of interfaces and not their addresses, so the C library is asked
(getifaddrs(3)), as PostgreSQL does (libpq/ifaddr.c). The list is made anew each time: addresses
come and go.
"""

from __future__ import annotations

import ctypes
import functools
import ipaddress
import os
import socket
import sys
from typing import Final

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

# A sockaddr begins with its own length there, and with the family alone elsewhere.
_HAS_LENGTH: Final = sys.platform == "darwin" or "bsd" in sys.platform
# Where the address is in it, and how long it is, by family.
_PLACES: Final = {int(socket.AF_INET): (4, 4), int(socket.AF_INET6): (8, 16)}


class _Entry(ctypes.Structure):
    """The beginning of a `struct ifaddrs`, which is the same everywhere."""


_Entry._fields_ = (
    ("next", ctypes.POINTER(_Entry)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
    ("netmask", ctypes.c_void_p),
)


@functools.cache
def _c() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.getifaddrs.argtypes = [ctypes.POINTER(ctypes.POINTER(_Entry))]
    library.freeifaddrs.argtypes = [ctypes.POINTER(_Entry)]
    library.freeifaddrs.restype = None
    return library


def own_interfaces() -> tuple[Interface, ...]:
    """Every IPv4 and IPv6 address of this machine. Raises OSError."""
    first = ctypes.POINTER(_Entry)()
    if _c().getifaddrs(ctypes.byref(first)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    found: list[Interface] = []
    try:
        entry = first
        while entry:
            interface = _interface(entry.contents.address, entry.contents.netmask)
            if interface is not None:
                found.append(interface)
            entry = entry.contents.next
    finally:
        _c().freeifaddrs(first)
    return tuple(found)


def _interface(address: int | None, netmask: int | None) -> Interface | None:
    if not address or not netmask:
        return None
    family = ctypes.string_at(address, 2)
    number = family[1] if _HAS_LENGTH else int.from_bytes(family, sys.byteorder)
    if number not in _PLACES:
        return None
    start, length = _PLACES[number]
    mask = int.from_bytes(_bytes_at(netmask, start, length), "big")
    return ipaddress.ip_interface((_bytes_at(address, start, length), mask.bit_count()))


def _bytes_at(place: int, start: int, length: int) -> bytes:
    there = length
    if _HAS_LENGTH:
        # The zeros at the end of a mask are left out.
        there = min(max(ctypes.string_at(place, 1)[0] - start, 0), length)
    return ctypes.string_at(place + start, there).ljust(length, b"\0")
