"""The pool's own questions to a backend: reset it, probe it, try a client's settings.

An errand holds a backend like a session does, but collects whole messages up to ReadyForQuery
instead of relaying. It ends by handing the answers to whoever sent it, after which the backend
is given back (or discarded if the answers say so).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from protocol.backend import ErrorResponse, decode_error_response, decode_parameter_status
from protocol.errors import ProtocolViolation
from protocol.framing import FrameReader
from protocol.tags import BackendTag, TransactionStatus
from trio_pool.backend import Backend, Holder
from trio_pool.errors import BackendLost, Ending, ServerBroken

if TYPE_CHECKING:
    from trio_pool.pool import Pool

# Limit: nothing an errand asks has a longer answer.
_ANSWER_BYTES_MAX = 1_048_576


class Answer:
    """What came of an errand. `error` is the server's, `ending` says there was no answer."""

    __slots__ = ("error", "ending", "reported", "rows", "idle")

    def __init__(self) -> None:
        self.error: ErrorResponse | None = None
        self.ending: Ending | None = None
        self.reported: dict[bytes, bytes] = {}
        # The bodies of the DataRows.
        self.rows: list[bytes] = []
        self.idle = False


class Errand(Holder):
    """One question. `done` is called once, synchronously, before the backend is given back.

    It returns whether the backend may serve others. Nothing that clients leave behind is noticed
    here: any backend suits.
    """

    __slots__ = ("_question", "_done", "_reader", "_backend", "answer")

    def __init__(
        self,
        question: Callable[[Backend], bytes],
        done: Callable[[Backend | None, Answer], bool],
    ) -> None:
        super().__init__()
        self._question = question
        self._done = done
        self._reader = FrameReader(_ANSWER_BYTES_MAX)
        self._backend: Backend | None = None
        self.answer = Answer()

    def granted(self, backend: Backend) -> None:
        """Ask."""
        self._backend = backend
        backend.state.statements.unnamed = None
        backend.wire.put(self._question(backend))

    def heard(self, data: bytes) -> None:
        """Collect the answer."""
        assert self._backend is not None
        self._reader.feed(data)
        try:
            while (frame := self._reader.next_frame()) is not None:
                if self._take(self._backend, *frame):
                    return
        except ProtocolViolation:
            backend = self._backend
            backend.pool.discard(backend)
            self.backend_lost(ServerBroken())

    def _take(self, backend: Backend, tag: int, body: bytes) -> bool:
        if tag == BackendTag.DATA_ROW:
            self.answer.rows.append(body)
        elif tag == BackendTag.ERROR:
            self.answer.error = decode_error_response(body)
        elif tag == BackendTag.PARAMETER_STATUS:
            status = decode_parameter_status(body)
            backend.state.settings.reported(status.name, status.value)
            self.answer.reported[status.name] = status.value
        elif tag == BackendTag.READY_FOR_QUERY:
            self.answer.idle = body == bytes([TransactionStatus.IDLE])
            self._finish(backend)
            return True
        return False

    def _finish(self, backend: Backend) -> None:
        fit = self._done(backend, self.answer)
        self._backend = None
        if fit and self.answer.idle:
            # What we asked was no client's lease.
            backend.held_since = backend.pool.now
            backend.pool.give_back(backend)
        else:
            backend.pool.discard(backend)

    def abandon(self, pool: Pool) -> None:
        """Nobody waits for the answer any more; what has begun is broken off."""
        pool.withdraw(self)
        backend = self._backend
        if backend is not None and backend.holder is self:
            pool.discard(backend)

    def give_up(self, pool: Pool) -> None:
        """The server does not answer: the backend goes, and whoever asked is told."""
        self.abandon(pool)
        self.backend_lost(BackendLost())

    def backend_lost(self, why: Ending) -> None:
        """No answer will come."""
        self.answer.ending = why
        self._done(None, self.answer)

    def refused(self, why: Ending) -> None:
        """No backend will come."""
        self.backend_lost(why)
