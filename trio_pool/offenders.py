"""Failed logins, counted by address in constant memory (max_login_failures).

Each address is two buckets out of many, found by a keyed hash; each bucket leaks away within a
minute. Who shares one bucket with an offender is not refused for it: only who finds both full is.
So a flood of addresses cannot make the pooler grow, and guessing one that shares both with a
victim's is as hard as guessing the key.
"""

from __future__ import annotations

import hashlib
import secrets
from array import array
from typing import Final

_BUCKETS: Final = 4_096
_SECONDS: Final = 60.0


class Offenders:
    """How many logins have failed lately, by address."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(16)
        self._levels = array("d", bytes(8 * 2 * _BUCKETS))
        self._times = array("d", bytes(8 * 2 * _BUCKETS))

    def count(self, address: str, limit: int, now: float) -> None:
        """A login from this address has failed; `limit` is how many may in a minute."""
        for bucket in self._buckets(address):
            self._levels[bucket] = min(self._level(bucket, limit, now) + 1.0, float(limit))
            self._times[bucket] = now

    def are_too_many(self, address: str, limit: int, now: float) -> bool:
        """Whether this address has failed as often as it may."""
        return all(self._level(bucket, limit, now) > limit - 1 for bucket in self._buckets(address))

    def _level(self, bucket: int, limit: int, now: float) -> float:
        leaked = (now - self._times[bucket]) * limit / _SECONDS
        return max(0.0, self._levels[bucket] - leaked)

    def _buckets(self, address: str) -> tuple[int, int]:
        digest = hashlib.blake2b(address.encode(), key=self._key, digest_size=8).digest()
        one, other = int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big")
        return one % _BUCKETS, _BUCKETS + other % _BUCKETS
