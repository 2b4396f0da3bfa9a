"""The `options` parameter is read as the server reads a backend's command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ProtocolViolation
from protocol.options import format_options, parse_options

NAMES = st.from_regex(rb"[A-Za-z_][A-Za-z0-9_.]*", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        (b"", []),
        (b" \t\n", []),
        (b"-c a=b", [(b"a", b"b")]),
        (b"-ca=b", [(b"a", b"b")]),
        (b"--a=b", [(b"a", b"b")]),
        (b"--work-mem=1MB", [(b"work_mem", b"1MB")]),
        (b"-c a=", [(b"a", b"")]),
        (b"-c a=b=c", [(b"a", b"b=c")]),
        (rb"-c search_path=a,\ b", [(b"search_path", b"a, b")]),
        (rb"-c a=\\ --b=\c", [(b"a", b"\\"), (b"b", b"c")]),
        (b"-c a=b\\", [(b"a", b"b")]),
        (b"-e -S 64 -F", [(b"datestyle", b"euro"), (b"work_mem", b"64"), (b"fsync", b"false")]),
        (b"-c a=1 -c a=2", [(b"a", b"1"), (b"a", b"2")]),
    ],
)
def test_arguments_are_settings(text: bytes, settings: list[tuple[bytes, bytes]]) -> None:
    assert parse_options(text) == settings


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"-c a", "-c a requires a value"),
        (b"--a", "--a requires a value"),
        (b"-c", "invalid command-line argument for server process: -c"),
        (b"a=b", "invalid command-line argument for server process: a=b"),
        (b"-c a=b stray", "invalid command-line argument for server process: stray"),
        (b"-Z", "invalid command-line argument for server process: -Z"),
        (b"-- -c", "invalid command-line argument for server process: -c"),
    ],
)
def test_what_the_server_refuses_is_refused_in_its_words(text: bytes, complaint: str) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        parse_options(text)

    assert caught.value.message == complaint
    assert caught.value.sqlstate == "42601"


@given(st.lists(st.tuples(NAMES, st.binary(max_size=20)), max_size=4))
def test_any_values_survive_being_written_as_options(settings: list[tuple[bytes, bytes]]) -> None:
    assert parse_options(format_options(settings)) == settings


@given(st.binary(max_size=60))
def test_any_text_is_settings_or_a_violation(text: bytes) -> None:
    try:
        settings = parse_options(text)
    except ProtocolViolation as violation:
        assert violation.sqlstate == "42601"
        return
    assert all(b"=" not in name for name, _ in settings)
