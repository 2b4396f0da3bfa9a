"""A short day at the bank; `python -m tests.bank` is a long one."""

from __future__ import annotations

import pytest

from tests.bank.bank import Plan, play
from tests.conftest import unavailable
from trio_pool.embedded import PostgresNotFound

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def test_no_money_is_made_or_lost_and_no_tenant_sees_another() -> None:
    try:
        report = play(Plan(seconds=8, clients=40, backends=5))
    except PostgresNotFound as missing:
        unavailable(str(missing))

    assert report.findings == []
    assert report.servers_killed and report.backends_killed and report.ledger.deaths
    assert report.ledger.acknowledged and report.ledger.looks
