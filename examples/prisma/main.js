// Prisma over DATABASE_URL as it comes: no `pgbouncer=true`, no second address for anything.
//
// Prints "ok ..." for all that went as it should; the first surprise ends the program. The tables
// are made here so that it runs by itself; a program of yours has them from `prisma migrate`.

import assert from "node:assert/strict";
import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "@prisma/client";

const adapter = new PrismaPg({ connectionString: process.env.DATABASE_URL });
const prisma = new PrismaClient({ adapter });
const workers = [...Array(30).keys()];
const all = (work) => Promise.all(workers.map(work));

const tables = [
  `drop table if exists "Transfer", "Account"`,
  `create table "Account" (
     id serial primary key, owner text not null unique, balance int not null default 0)`,
  `create table "Transfer" (
     id serial primary key, amount int not null, at timestamp(3) not null default current_timestamp,
     "accountId" int not null references "Account" (id))`,
];

const shows = {
  async "creating and finding"() {
    await all((n) => prisma.account.create({ data: { owner: `owner ${n}`, balance: 100 } }));
    for (let turn = 0; turn < 5; turn++) {
      const found = await all((n) =>
        prisma.account.findUniqueOrThrow({ where: { owner: `owner ${n}` } }),
      );
      assert.deepEqual(found.map((one) => one.owner), workers.map((n) => `owner ${n}`));
    }
  },

  async "nested writes and relations"() {
    const changed = await all((n) =>
      prisma.account.update({
        where: { owner: `owner ${n}` },
        data: { balance: { increment: n }, transfers: { create: [{ amount: n }, { amount: 0 }] } },
        include: { transfers: { orderBy: { amount: "desc" } } },
      }),
    );
    for (const n of workers) {
      assert.equal(changed[n].balance, 100 + n);
      assert.deepEqual(changed[n].transfers.map((one) => one.amount), [n, 0]);
    }
  },

  async "interactive transactions"() {
    await prisma.$transaction(
      async (tx) => {
        await tx.account.updateMany({ data: { balance: 50 } });
        const { _sum } = await tx.account.aggregate({ _sum: { balance: true } });
        assert.equal(_sum.balance, 50 * workers.length);
      },
      { isolationLevel: "Serializable" },
    );
    const refused = prisma.$transaction(async (tx) => {
      await tx.transfer.deleteMany();
      throw new Error("a change of mind");
    });
    await assert.rejects(refused, { message: "a change of mind" });
    assert.equal(await prisma.transfer.count(), 2 * workers.length);
  },

  async "transactions as lists"() {
    const answers = await all((n) =>
      prisma.$transaction([
        prisma.account.update({ where: { owner: `owner ${n}` }, data: { balance: n } }),
        prisma.account.findMany({ where: { owner: { in: [`owner ${n}`, "nobody"] } } }),
      ]),
    );
    const balances = answers.map(([, found]) => found.map((one) => one.balance));
    assert.deepEqual(balances, workers.map((n) => [n]));
  },

  async "raw queries"() {
    const answers = await all((n) => prisma.$queryRaw`select ${n}::int * 2 as doubled`);
    assert.deepEqual(answers, workers.map((n) => [{ doubled: 2 * n }]));
  },

  async "errors"() {
    await all(async (n) => {
      const twice = prisma.account.create({ data: { owner: `owner ${n}` } });
      await assert.rejects(twice, { code: "P2002" });
      const again = await prisma.account.upsert({
        where: { owner: `owner ${n}` },
        create: { owner: `owner ${n}` },
        update: { balance: -1 },
      });
      assert.equal(again.balance, -1);
    });
  },
};

try {
  for (const text of tables) await prisma.$executeRawUnsafe(text);
  for (const [name, show] of Object.entries(shows)) {
    await show();
    console.log(`ok ${name}`);
  }
  await prisma.$executeRawUnsafe(tables[0]);
} finally {
  await prisma.$disconnect();
}
