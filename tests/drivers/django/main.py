"""The application of examples/django_shop in six threads with persistent connections.

Finds its database in DATABASE_URL and further OPTIONS, as JSON, in its first argument; prints
`ok <scenario>` for each of its scenarios that held.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "examples"))

from django.core.management import call_command
from django.db import (
    DataError,
    IntegrityError,
    OperationalError,
    connection,
    connections,
    transaction,
)
from django.db.models import F, Sum
from django.test.utils import setup_databases, teardown_databases
from django_application import database, set_up

WORKERS = 6
TURNS = 6
ORDERS = 12  # of each customer
# More than one chunk, so that a server-side cursor is asked again.
CHUNK = 5

OPTIONS = json.loads(sys.argv[1])
URL = os.environ["DATABASE_URL"]
set_up(
    default=database(URL, **OPTIONS),
    tokyo=database(URL, **OPTIONS) | {"TIME_ZONE": "Asia/Tokyo"},
)

from django_shop.models import Item, Order  # noqa: E402 (models want an application)

threads = ThreadPoolExecutor(WORKERS)
together = threading.Barrier(WORKERS, timeout=60)


def crowd(errand: Callable[[int, int], None], turns: int = TURNS) -> None:
    """Run `errand(worker, turn)` in six threads at once, turn by turn."""

    def work(worker: int, turn: int) -> None:
        # Whoever waits here takes no second worker's errand.
        together.wait()
        errand(worker, turn)

    for turn in range(turns):
        list(threads.map(work, range(WORKERS), [turn] * WORKERS))


def ask(query: str, *parameters: object) -> object:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchone()[0]


def migrations() -> None:
    call_command("migrate", verbosity=0)
    call_command("migrate", "--check", verbosity=0)
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)
    assert ask("select indisvalid from pg_index where indexrelid = %s::regclass", INDEX)
    assert Item.objects.get().stock == 100

    call_command("migrate", "django_shop", "zero", verbosity=0)
    assert ask("select to_regclass(%s)", INDEX) is None
    call_command("migrate", verbosity=0)


INDEX = "django_shop_by_customer"


def databases_for_tests() -> None:
    """What `manage.py test --parallel 2` does before and after its tests."""
    made = setup_databases(verbosity=0, interactive=False, parallel=2)
    assert ask("select current_database()").startswith("test_")
    assert Item.objects.get().stock == 100
    teardown_databases(made, verbosity=0, parallel=2)


def persistent_connections() -> None:
    kept: dict[int, object] = {}

    def errand(worker: int, turn: int) -> None:
        own = kept.setdefault(threading.get_ident(), connection.connection)
        assert own is connection.connection
        assert ask("select %s::int", worker) == worker
        if turn == 0:
            ask("select set_config('application_name', %s, false)", threading.current_thread().name)
        assert ask("select current_setting('application_name')") == threading.current_thread().name

    crowd(lambda worker, turn: connection.ensure_connection(), turns=1)
    crowd(errand)
    assert len(kept) == WORKERS


def time_zones() -> None:
    order = Order.objects.create(item=Item.objects.get(), customer="of many zones")
    tokyo = Order.objects.using("tokyo").extra(select={"text": "placed::text"})
    here = Order.objects.extra(select={"text": "placed::text"})

    def errand(worker: int, turn: int) -> None:
        assert here.get(pk=order.pk).text.endswith("+00")
        assert tokyo.get(pk=order.pk).text.endswith("+09")
        assert tokyo.get(pk=order.pk).placed == order.placed
        connections["tokyo"].close()

    crowd(errand, turns=2)
    order.delete()
    connections["tokyo"].close()


def transactions_and_savepoints() -> None:
    def errand(worker: int, turn: int) -> None:
        committed: list[str] = []
        with transaction.atomic():
            item = Item.objects.create(name=f"hat {worker}.{turn}", stock=1)
            with contextlib.suppress(IntegrityError), transaction.atomic():
                Item.objects.create(name=f"hat {worker}.{turn}", stock=2)
            with contextlib.suppress(ZeroDivisionError), transaction.atomic():
                Item.objects.filter(pk=item.pk).update(stock=99)
                print(1 // 0)
            transaction.on_commit(lambda: committed.append("yes"))
        assert committed == ["yes"]
        with contextlib.suppress(DataError), transaction.atomic():
            Item.objects.filter(pk=item.pk).update(stock=7)
            ask("select 'x'::int / 0")
        item.refresh_from_db()
        assert item.stock == 1

    crowd(errand)
    assert Item.objects.filter(name__startswith="hat").delete()[0] == WORKERS * TURNS


def rows_locked_for_update() -> None:
    Item.objects.create(name="coat", stock=WORKERS * TURNS)

    def errand(worker: int, turn: int) -> None:
        with transaction.atomic():
            coat = Item.objects.select_for_update().get(name="coat")
            coat.stock -= 1
            coat.save(update_fields=["stock"])
            for _ in range(ORDERS // TURNS):
                Order.objects.create(item=coat, customer=f"customer {worker}", details={"t": turn})

    crowd(errand)
    assert Item.objects.get(name="coat").stock == 0
    assert Order.objects.filter(item__name="coat").count() == WORKERS * ORDERS


def orders_of(worker: int) -> list[int]:
    """The customer's orders, by a server-side cursor that must be there while it is read."""
    found = []
    mine = Order.objects.filter(customer=f"customer {worker}").order_by("pk")
    for order in mine.iterator(chunk_size=CHUNK):
        held = ask("select bool_and(is_holdable) from pg_cursors where name like '_django_curs%%'")
        assert held is not connection.in_atomic_block
        found.append(order.details["t"])
    return found


def server_side_cursors_in_and_outside_of_transactions() -> None:
    def errand(worker: int, turn: int) -> None:
        expected = sorted(list(range(TURNS)) * (ORDERS // TURNS))
        if turn % 2:
            with transaction.atomic():
                assert orders_of(worker) == expected
        else:
            assert orders_of(worker) == expected

    crowd(errand)


def cursors_that_are_not_read_to_their_end() -> None:
    def errand(worker: int, turn: int) -> None:
        if worker % 2:
            first = next(iter(Order.objects.iterator(chunk_size=CHUNK)))
            assert first.pk is not None
        assert ask("select count(*) from pg_cursors where name like '_django_curs%%'") == 0

    crowd(errand)


def what_the_orm_says() -> None:
    def errand(worker: int, turn: int) -> None:
        names = [f"{kind} {worker}" for kind in ("tie", "scarf", "glove")]
        Item.objects.bulk_create(
            [Item(name=name, stock=turn) for name in names],
            update_conflicts=True,
            update_fields=["stock"],
            unique_fields=["name"],
        )
        mine = Item.objects.filter(name__in=names)
        assert mine.update(stock=F("stock") + 1) == 3
        assert mine.aggregate(sum=Sum("stock")) == {"sum": 3 * (turn + 1)}
        _, made = Item.objects.get_or_create(name=names[0], defaults={"stock": 0})
        assert not made
        coat = Item.objects.prefetch_related("orders").get(name="coat")
        assert len(coat.orders.all()) == WORKERS * ORDERS
        assert coat.orders.filter(details__t=turn).exists()

    crowd(errand)


def a_statement_that_took_too_long() -> None:
    def errand(worker: int, turn: int) -> None:
        if worker == turn:
            with contextlib.suppress(OperationalError), transaction.atomic():
                ask("select set_config('statement_timeout', '200ms', true)")
                ask("select pg_sleep(60)::text")
                raise AssertionError("nothing timed out")
        assert ask("select current_setting('statement_timeout')") == "0"

    crowd(errand, turns=2)


def prepared_statements() -> None:
    """Django leaves them off unless it is told a threshold."""
    prepared = "select count(*) > 0 from pg_prepared_statements where statement like %s"

    def errand(worker: int, turn: int) -> None:
        for _ in range(4):
            assert Item.objects.filter(pk__gt=0, stock__gt=0).exists()
        if turn == TURNS - 1:
            asked = ask(prepared, '%"django_shop_item"."stock" > %')
            assert asked is (OPTIONS.get("prepare_threshold") is not None)

    crowd(errand)


for scenario in (
    migrations,
    persistent_connections,
    time_zones,
    transactions_and_savepoints,
    rows_locked_for_update,
    server_side_cursors_in_and_outside_of_transactions,
    cursors_that_are_not_read_to_their_end,
    what_the_orm_says,
    a_statement_that_took_too_long,
    prepared_statements,
    # The last one: afterwards Django's second alias is at home nowhere.
    databases_for_tests,
):
    scenario()
    print("ok", scenario.__name__.replace("_", " "), flush=True)
crowd(lambda worker, turn: connections.close_all(), turns=1)
connections.close_all()
threads.shutdown()
