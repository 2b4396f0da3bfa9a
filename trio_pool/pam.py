"""Pluggable Authentication Modules: is this the password of that account of the system.

Called through ctypes, for the library is C and small. Every call is made in the thread that asks,
with a handle of its own. As PostgreSQL does (libpq/auth.c), the account is checked as well, and
no prompt is answered but the one for the password.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from typing import Final

from trio_pool.journal import Journal

log = Journal(__name__)

_SUCCESS: Final = 0
_BUFFER_ERROR: Final = 5
_CONVERSATION_ERROR: Final = 19
_REMOTE_HOST: Final = 4
_PROMPT_ECHO_OFF: Final = 1
_ERROR_MESSAGE, _TEXT_INFO = 3, 4


class _Message(ctypes.Structure):
    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


class _Response(ctypes.Structure):
    # Why no c_char_p: PAM frees the text, so it must come from malloc.
    _fields_ = (("text", ctypes.c_void_p), ("code", ctypes.c_int))


_Converse = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.POINTER(_Response)),
    ctypes.c_void_p,
)


class _Conversation(ctypes.Structure):
    _fields_ = (("converse", _Converse), ("data", ctypes.c_void_p))


@functools.cache
def _library() -> ctypes.CDLL | None:
    for name in (ctypes.util.find_library("pam"), "libpam.so.0"):
        if name is not None:
            try:
                return ctypes.CDLL(name)
            except OSError:
                continue
    return None


@functools.cache
def _c() -> ctypes.CDLL:
    """Memory that others may free."""
    library = ctypes.CDLL(None)
    library.calloc.restype = library.strdup.restype = ctypes.c_void_p
    library.calloc.argtypes = (ctypes.c_size_t, ctypes.c_size_t)
    return library


def is_available() -> bool:
    """This system has PAM."""
    return _library() is not None


def is_right(service: str, address: str, user: str, password: bytes) -> bool:
    """Whether `service` lets `user` in with this password. Takes as long as its modules like."""
    pam = _library()
    if pam is None or "\0" in user:
        return False
    conversation = _Conversation(_answering(password), None)
    handle = ctypes.c_void_p()
    name = user.encode("utf-8", "surrogateescape")
    status = pam.pam_start(service.encode(), name, ctypes.byref(conversation), ctypes.byref(handle))
    if status != _SUCCESS:
        log.error("PAM cannot be asked service=%s status=%d", service, status)
        return False
    try:
        status = pam.pam_set_item(handle, _REMOTE_HOST, address.encode())
        if status == _SUCCESS:
            status = pam.pam_authenticate(handle, 0)
        if status == _SUCCESS:
            status = pam.pam_acct_mgmt(handle, 0)
        if status != _SUCCESS:
            log.info("PAM refused service=%s status=%d", service, status)
    finally:
        pam.pam_end(handle, status)
    return bool(status == _SUCCESS)


def _answering(password: bytes) -> ctypes._CFunctionType:
    def converse(count, messages, responses, _) -> int:  # type: ignore[no-untyped-def]
        styles = [messages[index].contents.style for index in range(count)]
        if not set(styles) <= {_PROMPT_ECHO_OFF, _ERROR_MESSAGE, _TEXT_INFO}:
            return _CONVERSATION_ERROR
        memory = _c().calloc(count, ctypes.sizeof(_Response))
        if not memory:
            return _BUFFER_ERROR
        answers = ctypes.cast(memory, ctypes.POINTER(_Response))
        for index, style in enumerate(styles):
            if style == _PROMPT_ECHO_OFF:
                answers[index].text = _c().strdup(password)
        responses[0] = answers
        return _SUCCESS

    return _Converse(converse)
