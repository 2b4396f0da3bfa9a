"""Short transactions and logins, with pgbench as the client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from tests.benchmarks import pgbench
from tests.benchmarks.bench import Bench, Scale
from tests.benchmarks.ini import Needs
from tests.benchmarks.pgbench import Order
from tests.benchmarks.poolers import BY_PROTOCOL, BY_SQL
from tests.benchmarks.workloads.load import Instead, Load, Work, clients

_CLIENTS: Final = 16
_REPLAY_CLIENTS: Final = 64
_REPLAY_TEXTS: Final = 60
_REPLAY_STATEMENTS_MAX: Final = 20

# Each client's variables outlive its transactions, so it prepares once.
_SQL_PREPARE: Final = """\
\\set aid random(1, 100000)
\\if :prepared = 0
prepare look (int) as select abalance from pgbench_accounts where aid = $1;
\\set prepared 1
\\endif
execute look (:aid);
"""
_SELECT: Final = (
    "\\set aid random(1, 100000)\nselect abalance{} from pgbench_accounts where aid = :aid;\n"
)


def selects(scale: Scale, mode: str) -> Iterator[Load]:
    """pgbench -S in one of its modes, with ever more clients."""
    for number in scale.clients:
        untracked = Instead(BY_PROTOCOL, "as extended", _select("extended", number))
        yield Load(
            workload=mode,
            variant=clients(number),
            work=_select(mode, number),
            instead=untracked if mode == "prepared" else None,
        )


def sql_prepare(scale: Scale) -> Iterator[Load]:
    """PREPARE once and EXECUTE ever after, in SQL."""
    yield Load(
        workload="sqlprepare",
        variant=clients(_CLIENTS),
        work=_scripts("simple", _CLIENTS, (_SQL_PREPARE,), ("-D", "prepared=0")),
        instead=Instead(BY_SQL, "as simple", _select("simple", _CLIENTS)),
    )


def replay(scale: Scale) -> Iterator[Load]:
    """More statements than a backend may keep, and never the same backend twice."""
    texts = tuple(_SELECT.format(f" + {number}") for number in range(_REPLAY_TEXTS))
    yield Load(
        workload="replay",
        variant=clients(_REPLAY_CLIENTS),
        work=_scripts("prepared", _REPLAY_CLIENTS, texts),
        needs=Needs(statements_max=_REPLAY_STATEMENTS_MAX, round_robin=True),
        instead=Instead(BY_PROTOCOL, "as extended", _scripts("extended", _REPLAY_CLIENTS, texts)),
    )


def over_tls(scale: Scale) -> Iterator[Load]:
    """pgbench -S with TLS between client and pooler."""
    order = Order(clients=_CLIENTS, options=("-S", "-M", "simple"), tls=True)
    yield Load(
        workload="tls",
        variant=clients(_CLIENTS),
        work=_work(lambda _: order),
        needs=Needs(tls=True),
    )


def churn(scale: Scale, auth: str) -> Iterator[Load]:
    """A login for every transaction."""
    yield Load(
        workload="churn-trust" if auth == "trust" else "churn-scram",
        variant=clients(_CLIENTS),
        work=_scripts("simple", _CLIENTS, ("select 1;\n",), ("-C",), churn=True),
        needs=Needs(auth=auth),
        unit="login",
    )


def _select(mode: str, number: int) -> Work:
    order = Order(clients=number, options=("-S", "-M", mode))
    return _work(lambda _: order)


def _scripts(
    mode: str,
    number: int,
    texts: tuple[str, ...],
    options: tuple[str, ...] = (),
    churn: bool = False,
) -> Work:
    def order(bench: Bench) -> Order:
        files = pgbench.scripts(bench.directory, texts)
        return Order(clients=number, options=("-M", mode, *options, *files), churn=churn)

    return _work(order)


def _work(order: Callable[[Bench], Order]) -> Work:
    """Both ways to run an order that is made when it is known where."""
    return Work(
        measure=lambda bench, running: pgbench.run(bench, running, order(bench)),
        repeat=lambda bench, running, number: pgbench.repeat(bench, running, number, order(bench)),
    )
