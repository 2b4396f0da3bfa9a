"""What all pools of a database, and all of a user, may have together.

Counted here are connections to servers, whoever they serve; those that are still being opened
count already, or two pools would each open the last one that is allowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_pool.ear import Ear
    from trio_pool.pool.pool import Pool


class Caps:
    """Backends per database and per user over all pools (max_db_, max_user_connections)."""

    __slots__ = ("by_database", "by_user", "ears_by_database", "ears_by_user")

    def __init__(self) -> None:
        self.by_database: dict[str, int] = {}
        self.by_user: dict[str, int] = {}
        # Those among them that only listen.
        self.ears_by_database: dict[str, int] = {}
        self.ears_by_user: dict[str, int] = {}

    def count(self, database: str, user: str, change: int) -> None:
        """One backend more or less."""
        self.by_database[database] = self.by_database.get(database, 0) + change
        self.by_user[user] = self.by_user.get(user, 0) + change

    def count_ear(self, database: str, user: str, change: int) -> None:
        """One ear more or less."""
        self.ears_by_database[database] = self.ears_by_database.get(database, 0) + change
        self.ears_by_user[user] = self.ears_by_user.get(user, 0) + change


def within_caps(pool: Pool) -> bool:
    """The database and the user may have one more."""
    limits = pool.limits
    by_database = pool.caps.by_database.get(pool.database.name, 0)
    if limits.max_db_connections and by_database >= limits.max_db_connections:
        return False
    by_user = pool.caps.by_user.get(pool.user, 0)
    return not limits.max_user_connections or by_user < limits.max_user_connections


def may_have_ear(pool: Pool) -> bool:
    """The ears of all pools leave at least half of the allowed connections to clients."""
    limits, caps, own = pool.limits, pool.caps, pool.ear is None
    of_database = caps.ears_by_database.get(pool.database.name, 0) + own
    of_user = caps.ears_by_user.get(pool.user, 0) + own
    return (not limits.max_db_connections or 2 * of_database <= limits.max_db_connections) and (
        not limits.max_user_connections or 2 * of_user <= limits.max_user_connections
    )


def keep_ear(pool: Pool, ear: Ear | None) -> None:
    """Have this ear from now on, or none."""
    change = (ear is not None) - (pool.ear is not None)
    pool.caps.count_ear(pool.database.name, pool.user, change)
    pool.ear = ear
