"""The bank's tables, and what must be true of them."""

from __future__ import annotations

from typing import Final

from trio_pool.conform.client import Client

TENANTS: Final = 20
ACCOUNTS_EACH: Final = 10
OPENING: Final = 1_000
TELLER: Final = "teller"

_SCHEMA: Final = f"""
create role {TELLER} login password '{{password}}';
create table accounts (id int primary key, tenant int not null, balance bigint not null);
create table transfers (
    id bigint primary key, tenant int not null, source int not null, target int not null,
    amount bigint not null
);
insert into accounts select n, n / {ACCOUNTS_EACH}, {OPENING}
    from generate_series(0, {TENANTS * ACCOUNTS_EACH - 1}) n;
alter table accounts enable row level security;
alter table transfers enable row level security;
create policy own on accounts using (tenant = current_setting('app.tenant')::int);
create policy own on transfers using (tenant = current_setting('app.tenant')::int);
grant select, update on accounts to {TELLER};
grant select, insert on transfers to {TELLER};
"""

SUM: Final = TENANTS * ACCOUNTS_EACH * OPENING

# Balances that are not what the transfers make of them.
_WRONG: Final = f"""
select count(*) from accounts a where balance <> {OPENING}
    + coalesce((select sum(amount) from transfers where target = a.id), 0)
    - coalesce((select sum(amount) from transfers where source = a.id), 0)
"""


async def open_books(root: Client, password: str) -> None:
    """Make the tables and the role; `password` has no quotes."""
    await root.rows(_SCHEMA.format(password=password))


async def total(root: Client) -> int:
    """All the money there is."""
    ((found,),) = await root.rows("select sum(balance) from accounts")
    return int(found or 0)


async def wrong_balances(root: Client) -> int:
    """Accounts on which money came from nowhere or went there."""
    ((found,),) = await root.rows(_WRONG)
    return int(found or 0)


async def recorded(root: Client) -> set[int]:
    """The numbers of all transfers that happened."""
    return {int(number or 0) for (number,) in await root.rows("select id from transfers")}
