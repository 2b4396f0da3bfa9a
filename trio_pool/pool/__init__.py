"""The backends of one database and user, lent first come first served.

    pool        the books, and the line: lend, give back, who is next
    growth      how many backends there are: opening one more, making room for another
    caps        what all pools of a database, and all of a user, may have together
    failures    no backend can be opened: who is told, and when to try again
    errands     the pool's own questions to a backend, before the next client has it
    closing     replacing backends, pausing, closing

All bookkeeping is synchronous and happens in the sweep itself: a released backend goes to the
next holder in line without a task in between. Opening a backend waits, so it is a task of the
server's nursery (trio_pool.opening); what it finds is told to those who wait.

Law: no decision survives an await; nothing in here has one.
"""

from trio_pool.pool.caps import Caps
from trio_pool.pool.pool import Pool

__all__ = ["Caps", "Pool"]
