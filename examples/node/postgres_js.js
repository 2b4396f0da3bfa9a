// postgres.js over DATABASE_URL as it comes: ten connections of its own, every query with values
// prepared under a name, and queries sent behind one another without waiting.
//
// Prints "ok ..." for all that went as it should; the first surprise ends the program.

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import postgres from "postgres";

const sql = postgres(process.env.DATABASE_URL, { onnotice: () => {} });
const workers = [...Array(30).keys()];
const all = (work) => Promise.all(workers.map(work));

const shows = {
  async "prepared statements"() {
    for (let turn = 0; turn < 5; turn++) {
      const answers = await all((n) => sql`select ${n}::int + ${turn}::int as sum`);
      assert.deepEqual(answers.map(([row]) => row.sum), workers.map((n) => n + turn));
    }
  },

  async "transactions and savepoints"() {
    await all((n) =>
      sql.begin(async (tx) => {
        await tx`insert into ticket (seat, holder) values (${n}, 'first')`;
        const twice = tx.savepoint((inner) => inner`insert into ticket values (${n}, 'second')`);
        await assert.rejects(twice, { code: "23505" });
        await tx`update ticket set holder = 'last' where seat = ${n}`;
        const [mine] = await tx`
          select count(*)::int as n from pg_prepared_statements where statement like 'update ticket%'`;
        assert.equal(mine.n, 1);
      }),
    );
    const holders = await sql`select distinct holder from ticket`;
    assert.deepEqual([...holders], [{ holder: "last" }]);
  },

  async "a transaction that is taken back"() {
    const changed = sql.begin(async (tx) => {
      await tx`delete from ticket`;
      throw new Error("a change of mind");
    });
    await assert.rejects(changed, { message: "a change of mind" });
    assert.equal((await sql`select 1 from ticket`).count, workers.length);
  },

  // Several statements of one transaction are sent before the first is answered.
  async "a pipeline in a transaction"() {
    const answers = await all((n) =>
      sql.begin((tx) => [1, 2, 3].map((times) => tx`select ${n}::int * ${times}::int as product`)),
    );
    for (const n of workers) {
      assert.deepEqual(answers[n].map(([row]) => row.product), [n, 2 * n, 3 * n]);
    }
  },

  async "cursors"() {
    await all(async (n) => {
      const pieces = [];
      for await (const rows of sql`select generate_series(1, ${n}::int) as i`.cursor(10)) {
        pieces.push(...rows.map((row) => row.i));
      }
      assert.deepEqual(pieces, [...Array(n).keys()].map((i) => i + 1));
    });
  },

  async "helpers for inserts and lists"() {
    const rows = workers.map((n) => ({ seat: 100 + n, holder: `holder ${n}` }));
    await sql`insert into ticket ${sql(rows)}`;
    const found = await sql`select seat from ticket where seat in ${sql([100, 101, 999])}`;
    assert.deepEqual(found.map((row) => row.seat).sort(), [100, 101]);
  },

  async "copy"() {
    const lines = workers.map((n) => `${200 + n}\tcopied\n`);
    const into = await sql`copy ticket (seat, holder) from stdin`.writable();
    await pipeline(Readable.from(lines), into);
    const found = await sql`select from ticket where holder = 'copied'`;
    assert.equal(found.count, workers.length);
  },

  async "errors"() {
    await all(async (n) => {
      await assert.rejects(sql`select 1 / ${0}::int as ${sql(`w${n}`)}`, { code: "22012" });
      await assert.rejects(sql`select ${n} from missing`, { code: "42P01" });
      const [next] = await sql`select ${n}::int as n`;
      assert.deepEqual(next, { n });
    });
  },

  async "notifications"() {
    const heard = [];
    let done;
    const complete = new Promise((resolve) => (done = resolve));
    const { unlisten } = await sql.listen("tickets", (payload) => {
      heard.push(payload);
      if (heard.length === workers.length) done();
    });
    await all((n) => sql.notify("tickets", `ticket ${n}`));
    await complete;
    assert.deepEqual(heard.sort(), workers.map((n) => `ticket ${n}`).sort());
    await unlisten();
  },

  async "a query that is cancelled"() {
    const slow = sql`select pg_sleep(600)`.execute();
    const again = setInterval(() => slow.cancel(), 200);
    await assert.rejects(slow, { code: "57014" });
    clearInterval(again);
  },
};

await sql`drop table if exists ticket`;
await sql`create table ticket (seat int primary key, holder text not null)`;
try {
  for (const [name, show] of Object.entries(shows)) {
    await show();
    console.log(`ok ${name}`);
  }
  await sql`drop table ticket`;
} finally {
  await sql.end({ timeout: 5 });
}
