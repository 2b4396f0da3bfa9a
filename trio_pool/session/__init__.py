"""One client after its login.

    session     its relay, its wire, and the backend it may hold: what a sweep calls
    releasing   the end of a transaction: who has the backend from then on
    ending      the end of the session: everything is given back

Beside them: trio_pool.absence (its backend serves others while it listens), trio_pool.pinned (what
keeps a backend), trio_pool.farewell (goodbye). All of it is synchronous, and done in the sweep.

Law: a decision to lend or release is made and carried out without an await in between.
"""

from trio_pool.session.session import Host, Session

__all__ = ["Host", "Session"]
