"""Passwords are prepared as the server prepares them, and never refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.saslprep import saslprep


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        # RFC 4013 section 3.
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        # Spaces that are not ASCII, and a ligature.
        ("a\u00a0b", "a b"),
        ("\ufb01", "fi"),
        # Right-to-left text is allowed when it is so throughout.
        ("\u05d0\u05d1", "\u05d0\u05d1"),
    ],
)
@pytest.mark.hard_case(183)
def test_passwords_that_look_alike_become_alike(password: str, prepared: str) -> None:
    assert saslprep(password.encode()) == prepared.encode()


@pytest.mark.parametrize(
    "password",
    [
        "bell\u0007",
        "\u00adbell\u0007",
        "\u06271",
        "\u05d0a\u05d0",
        "\u00ad",
        "private \ue000",
        "unassigned \u0221",
    ],
)
def test_passwords_that_saslprep_forbids_are_used_as_they_are(password: str) -> None:
    assert saslprep(password.encode()) == password.encode()


@pytest.mark.hard_case(183)
def test_passwords_that_are_not_utf8_are_used_as_they_are() -> None:
    assert saslprep(b"\xff\xfe\xc3") == b"\xff\xfe\xc3"


@given(st.binary() | st.text().map(str.encode))
def test_no_password_is_too_strange_to_be_prepared(password: bytes) -> None:
    assert saslprep(password) == saslprep(password)
    assert bool(saslprep(password)) == bool(password)
