"""Errors and notices: every field may be missing, and unknown ones survive."""

from __future__ import annotations

import pytest

from protocol import backend
from protocol.backend import ErrorResponse
from protocol.errors import ProtocolViolation, ServerRefused


def decoded(wire: bytes) -> ErrorResponse:
    return backend.decode_error_response(wire[5:])


def test_fields_are_sent_in_the_order_of_the_server() -> None:
    error = decoded(
        backend.error_response(
            "ERROR", "42601", "syntax error", hint="h", detail="d", position=7, R="yyerror", W="w"
        )
    )

    assert bytes([letter for letter, _ in error.fields]) == b"SVCMDHPWR"
    assert error.get("P") == b"7"
    assert (error.severity, error.sqlstate, error.message) == ("ERROR", "42601", "syntax error")


@pytest.mark.hard_case(160)
def test_an_error_without_any_field_can_be_read() -> None:
    error = backend.decode_error_response(b"\0")

    assert (error.severity, error.sqlstate, error.message) == ("", "", "")
    assert error.get("C") is None


def test_replacing_fields_keeps_the_others_where_they_are() -> None:
    error = ErrorResponse(((ord("x"), b"unknown"), (ord("M"), b"old"), (ord("P"), b"9")))

    changed = error.replace({"M": b"new", "P": None, "H": b"hint"})

    assert changed.fields == ((ord("x"), b"unknown"), (ord("M"), b"new"), (ord("H"), b"hint"))
    assert decoded(changed.encode()) == changed


def test_replacing_fields_of_a_notice_leaves_it_a_notice() -> None:
    notice = backend.NoticeResponse(((ord("M"), b"old"),)).replace({"M": b"new"})

    assert notice.encode() == b"N\0\0\0\x0aMnew\0\0"
    assert notice.get("M") == b"new"


def test_a_report_about_bytes_with_a_nul_can_still_be_sent() -> None:
    error = decoded(backend.error_response("FATAL", "08P01", 'bad name "a\0b"'))

    assert error.message == 'bad name "ab"'


@pytest.mark.parametrize("body", [b"", b"S", b"SERROR", b"SERROR\0", b"\0x", b"SERROR\0\0\0"])
def test_a_body_that_is_no_list_of_fields_is_a_violation(body: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        backend.decode_error_response(body)


def test_a_refusal_by_a_server_can_be_told_without_an_sqlstate() -> None:
    refusal = ServerRefused(((ord("M"), b"too many \xff clients"),))

    assert refusal.sqlstate == ""
    assert str(refusal) == "too many \ufffd clients (SQLSTATE not given)"
