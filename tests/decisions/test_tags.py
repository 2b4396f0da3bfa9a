"""Modules that know tags as numbers of their own mean the same by them."""

from __future__ import annotations

import pytest

from protocol.tags import BackendTag, FrontendTag, TransactionStatus
from trio_pool.relay import downstream, flow, upstream, whole

UPSTREAM = ["BIND", "DESCRIBE", "PARSE", "PASSWORD", "QUERY", "SYNC", "TERMINATE"]
DOWNSTREAM = ["COMMAND_COMPLETE", "COPY_IN", "READY"]


@pytest.mark.parametrize("name", UPSTREAM)
def test_what_comes_from_the_client_is_called_by_its_number(name: str) -> None:
    assert getattr(upstream, f"_{name}") == getattr(FrontendTag, name)


@pytest.mark.parametrize("name", DOWNSTREAM)
def test_what_comes_from_the_server_is_called_by_its_number(name: str) -> None:
    tag = "READY_FOR_QUERY" if name == "READY" else name
    assert getattr(downstream, f"_{name}") == getattr(BackendTag, tag)


def test_a_whole_request_is_known_by_the_same_numbers() -> None:
    assert (whole._BIND, whole._PARSE) == (FrontendTag.BIND, FrontendTag.PARSE)
    assert whole._QUERY == FrontendTag.QUERY
    assert (whole._DATA_ROW, whole._PARSE_COMPLETE) == (
        BackendTag.DATA_ROW,
        BackendTag.PARSE_COMPLETE,
    )
    assert (whole._COMMAND_COMPLETE, whole._ROW_DESCRIPTION) == (
        BackendTag.COMMAND_COMPLETE,
        BackendTag.ROW_DESCRIPTION,
    )
    assert whole._IDLE == TransactionStatus.IDLE
    assert (flow.FINISH, len(flow.FINISH)) == (whole._FINISH, whole._FINISH_BYTES)
