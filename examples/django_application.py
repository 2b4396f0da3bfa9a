"""Django with its default settings: many threads, persistent connections, two backends.

Transactions, savepoints, row locks, migrations and server-side cursors are used as they come.
`DISABLE_SERVER_SIDE_CURSORS` is not set; prepared statements, which Django leaves off for the sake
of other poolers, are switched on. The application is in `django_shop/`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connections, transaction

import trio_pool
from trio_pool.embedded import local_postgres

CUSTOMERS = 20


def database(url: str, **options: object) -> dict[str, object]:
    """What belongs under DATABASES to connect to a URL for as long as a thread lives."""
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname,
        "PORT": parts.port,
        "CONN_MAX_AGE": None,
        "OPTIONS": options,
    }


def set_up(**databases: dict[str, object]) -> None:
    """Make this process a Django application with these databases."""
    settings.configure(
        DATABASES=databases,
        INSTALLED_APPS=["django_shop"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()


def shop() -> None:
    from django_shop.models import Item, Order

    def buy(customer: int) -> None:
        with transaction.atomic():
            item = Item.objects.select_for_update().get(name="umbrella")
            item.stock -= 2
            item.save()
            Order.objects.create(item=item, customer=f"customer {customer}")
        # Without a transaction around it this is a cursor WITH HOLD: it keeps its backend.
        for order in Order.objects.iterator(chunk_size=5):
            assert order.placed is not None
        connections.close_all()

    with ThreadPoolExecutor(CUSTOMERS) as customers:
        list(customers.map(buy, range(CUSTOMERS)))
    with transaction.atomic():
        sold = sum(1 for _ in Order.objects.iterator(chunk_size=5))
    print(f"{sold} orders, {Item.objects.get().stock} umbrellas left")
    connections.close_all()


def main() -> None:
    with (
        local_postgres() as postgres,
        trio_pool.pool_in_thread(postgres.url(), default_pool_size=2) as pool,
    ):
        set_up(default=database(pool.url, server_side_binding=True, prepare_threshold=5))
        call_command("migrate", verbosity=0)
        shop()
        print(f"{CUSTOMERS} customers shared {pool.stats().backends} backends")


if __name__ == "__main__":
    main()
