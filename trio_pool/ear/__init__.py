"""Listening for clients that are away (trio_pool.channels).

ear     who is told of what, and how one backend that listens is replaced by another
link    such a backend
"""

from trio_pool.ear.ear import LOST, Ear, tell_if_lost

__all__ = ["LOST", "Ear", "tell_if_lost"]
