"""A small shop with a habit: it keeps things in its session. Each method is one planted bug.

On a private connection each of them returns True. Behind a transaction pooler that lets nothing
follow, none does: it returns something else, or the server refuses a statement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import psycopg

SCHEMA: Final = """
    drop schema if exists shop cascade;
    create schema shop;
    create table shop.item (id serial primary key, name text);
    create table shop.orders (id serial primary key, tenant text);
    create function shop.be_patient() returns text language plpgsql as
        $$ begin return set_config('lock_timeout', '77s', false); end $$;
    do $$ begin create role clerk; exception when duplicate_object then null; end $$;
"""

Client = psycopg.Connection[tuple[object, ...]]


def value(client: Client, text: str) -> object:
    row = client.execute(text, prepare=False).fetchone()
    return row and row[0]


def cart(client: Client) -> bool:
    client.execute("create temporary table cart (item int)")
    client.execute("insert into cart values (1)")
    return value(client, "select count(*) from cart") == 1


def counters_of_the_day(client: Client) -> bool:
    client.execute("do $$ begin create temporary table tally as select 1 as n; end $$")
    return value(client, "select n from tally") == 1


def search_path(client: Client) -> bool:
    client.execute("set search_path = shop")
    return value(client, "select count(*) from item") == 0


def tenant(client: Client) -> bool:
    client.execute("select set_config('shop.tenant', 'alice', false)")
    return value(client, "select current_setting('shop.tenant', true)") == "alice"


def patience(client: Client) -> bool:
    client.execute("select shop.be_patient()")
    return value(client, "show lock_timeout") == "77s"


def role(client: Client) -> bool:
    client.execute("set role clerk")
    return value(client, "select current_user") == "clerk"


def read_only(client: Client) -> bool:
    client.execute("set session characteristics as transaction read only")
    return value(client, "show transaction_read_only") == "on"


def job_lock(client: Client) -> bool:
    client.execute("select pg_advisory_lock(7001)")
    return value(client, "select pg_advisory_unlock(7001)") is True


def order_number(client: Client) -> bool:
    client.execute("insert into shop.orders (tenant) values ('alice')")
    return value(client, "select currval('shop.orders_id_seq')") == value(
        client, "select max(id) from shop.orders"
    )


def long_list(client: Client) -> bool:
    client.execute("declare list cursor with hold for select generate_series(1, 3)")
    return value(client, "fetch list") == 1


def plan(client: Client) -> bool:
    client.execute("prepare twice as select $1::int * 2")
    return value(client, "execute twice(21)") == 42


def news(client: Client) -> bool:
    client.execute("listen news")
    return value(client, "select count(*) from pg_listening_channels()") == 1


def library(client: Client) -> bool:
    client.execute("load '$libdir/plpgsql'")
    return True


# Kind and name of what each depends on, and a word of the statement that is to blame.
BUGS: Final[dict[Callable[[Client], bool], tuple[str, str, str]]] = {
    cart: ("temporary objects", "", "create temporary table cart"),
    counters_of_the_day: ("temporary objects", "", "do $$ begin create temporary table tally"),
    search_path: ("setting", "search_path", "set search_path = shop"),
    tenant: ("setting", "shop.tenant", "select set_config('shop.tenant'"),
    patience: ("setting", "lock_timeout", "select shop.be_patient()"),
    role: ("setting", "role", "set role clerk"),
    read_only: ("setting", "default_transaction_read_only", "set session characteristics"),
    job_lock: ("session advisory lock", "", "select pg_advisory_lock(7001)"),
    order_number: ("sequence", "", "select currval('shop.orders_id_seq')"),
    long_list: ("cursor with hold", "", "declare list cursor with hold"),
    plan: ("prepared statement", "twice", "select $1::int * 2"),
    news: ("listen", "", "listen news"),
    library: ("load", "", "load '$libdir/plpgsql'"),
}
