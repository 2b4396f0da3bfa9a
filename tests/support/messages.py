"""Strategies for every message of the protocol, for tests and fuzz targets."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from protocol import backend, frontend, startup
from protocol.startup_message import StartupMessage

STRINGS = st.binary(max_size=20).map(lambda raw: raw.replace(b"\0", b""))
NAMES = STRINGS.filter(bool)
VALUES = st.lists(st.none() | st.binary(max_size=20), max_size=5).map(tuple)
FORMATS = st.lists(st.sampled_from([0, 1, -1, 32767]), max_size=5).map(tuple)
OIDS = st.integers(0, 2**32 - 1)
OID_LISTS = st.lists(OIDS, max_size=5).map(tuple)
INT16 = st.integers(-(2**15), 2**15 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)
DATA = st.binary(max_size=40)
KINDS = st.sampled_from([frontend.STATEMENT, frontend.PORTAL])
KEYS = st.binary(min_size=4, max_size=256)
FIELDS = st.lists(st.tuples(st.integers(1, 255), STRINGS), max_size=6).map(tuple)

FRONTEND_MESSAGES: SearchStrategy[frontend.FrontendMessage] = st.one_of(
    st.builds(frontend.AuthenticationData, DATA),
    st.builds(frontend.Bind, STRINGS, STRINGS, FORMATS, VALUES, FORMATS),
    st.builds(frontend.Close, KINDS, STRINGS),
    st.builds(frontend.CopyData, DATA),
    st.just(frontend.CopyDone()),
    st.builds(frontend.CopyFail, STRINGS),
    st.builds(frontend.Describe, KINDS, STRINGS),
    st.builds(frontend.Execute, STRINGS, INT32),
    st.just(frontend.Flush()),
    st.builds(frontend.FunctionCall, OIDS, FORMATS, VALUES, INT16),
    st.builds(frontend.Parse, STRINGS, STRINGS, OID_LISTS),
    st.builds(frontend.Query, STRINGS),
    st.just(frontend.Sync()),
    st.just(frontend.Terminate()),
)

COLUMNS = st.builds(backend.Column, STRINGS, OIDS, INT16, OIDS, INT16, INT32, INT16)

AUTHENTICATION_REQUESTS: SearchStrategy[backend.Authentication] = st.one_of(
    st.just(backend.AuthenticationOk()),
    st.just(backend.AuthenticationKerberosV5()),
    st.just(backend.AuthenticationCleartextPassword()),
    st.builds(backend.AuthenticationMD5Password, st.binary(min_size=4, max_size=4)),
    st.just(backend.AuthenticationGSS()),
    st.builds(backend.AuthenticationGSSContinue, DATA),
    st.just(backend.AuthenticationSSPI()),
    st.builds(backend.AuthenticationSASL, st.lists(NAMES, max_size=3).map(tuple)),
    st.builds(backend.AuthenticationSASLContinue, DATA),
    st.builds(backend.AuthenticationSASLFinal, DATA),
)

BACKEND_MESSAGES: SearchStrategy[backend.BackendMessage] = st.one_of(
    AUTHENTICATION_REQUESTS,
    st.builds(backend.BackendKeyData, OIDS, KEYS),
    st.just(backend.BindComplete()),
    st.just(backend.CloseComplete()),
    st.builds(backend.CommandComplete, STRINGS),
    st.builds(backend.CopyBothResponse, st.integers(0, 1), FORMATS),
    st.builds(backend.CopyData, DATA),
    st.just(backend.CopyDone()),
    st.builds(backend.CopyInResponse, st.integers(0, 1), FORMATS),
    st.builds(backend.CopyOutResponse, st.integers(0, 1), FORMATS),
    st.builds(backend.DataRow, VALUES),
    st.just(backend.EmptyQueryResponse()),
    st.builds(backend.ErrorResponse, FIELDS),
    st.builds(backend.FunctionCallResponse, st.none() | DATA),
    st.builds(backend.NegotiateProtocolVersion, OIDS, st.lists(STRINGS, max_size=3).map(tuple)),
    st.just(backend.NoData()),
    st.builds(backend.NoticeResponse, FIELDS),
    st.builds(backend.NotificationResponse, OIDS, STRINGS, STRINGS),
    st.builds(backend.ParameterDescription, OID_LISTS),
    st.builds(backend.ParameterStatus, STRINGS, STRINGS),
    st.just(backend.ParseComplete()),
    st.just(backend.PortalSuspended()),
    st.builds(backend.ReadyForQuery, st.sampled_from([*b"ITE"])),
    st.builds(backend.RowDescription, st.lists(COLUMNS, max_size=4).map(tuple)),
)

_PAIRS = st.lists(st.tuples(NAMES, STRINGS), max_size=5)

FIRST_PACKETS: SearchStrategy[startup.FirstPacket] = st.one_of(
    st.builds(
        lambda minor, user, pairs: StartupMessage(minor, ((b"user", user), *pairs)),
        st.integers(0, 0xFFFF),
        NAMES,
        _PAIRS.map(lambda pairs: [pair for pair in pairs if pair[0] != b"user"]),
    ),
    st.just(startup.SSLRequest()),
    st.just(startup.GSSENCRequest()),
    st.builds(startup.CancelRequest, OIDS, KEYS),
)
