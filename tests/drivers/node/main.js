// node-postgres with its default settings: a query with a name is prepared once per client, and
// every query with values goes through the unnamed statement.
//
// DATABASE_URL says where to, ERRANDS which table to use. Prints "ok <scenario>" for each scenario
// that held; any other ends the program, after the rest, with a non-zero exit status.

import assert from "node:assert/strict";
import pg from "pg";
import Cursor from "pg-cursor";

const WORKERS = 6;
const TURNS = 8;
const url = process.env.DATABASE_URL;
const table = process.env.ERRANDS;
const workers = [...Array(WORKERS).keys()];

async function withClients(story) {
  const clients = workers.map(() => new pg.Client({ connectionString: url }));
  try {
    await Promise.all(clients.map((client) => client.connect()));
    await story(clients);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

// Every client runs its errand once in every turn, all at the same time.
async function inTurns(clients, errand) {
  for (let turn = 0; turn < TURNS; turn++) {
    const running = clients.map(async (client, worker) => {
      try {
        await errand(client, worker, turn);
      } catch (failure) {
        // The others may wait for the backend that this one holds.
        await client.end();
        throw failure;
      }
    });
    await Promise.all(running);
  }
}

const isPrepared = {
  name: "is-prepared",
  text: "select count(*) > 0 as yes from pg_prepared_statements where statement = $1",
};

const scenarios = {
  // One name, six texts: a statement's name belongs to its client.
  async "named queries"() {
    await withClients(async (clients) => {
      await inTurns(clients, async (client, worker, turn) => {
        const text = `select $1::int + ${worker} as sum, 'worker ${worker}' as who`;
        const own = { name: "same-name", text };
        await client.query("begin");
        const { rows } = await client.query({ ...own, values: [turn] });
        assert.deepEqual(rows, [{ sum: turn + worker, who: `worker ${worker}` }]);
        const prepared = await client.query({ ...isPrepared, values: [text] });
        assert.deepEqual(prepared.rows, [{ yes: true }]);
        await client.query("commit");
        const again = await client.query({ ...own, values: [-turn], rowMode: "array" });
        assert.deepEqual(again.rows, [[worker - turn, `worker ${worker}`]]);
      });
    });
  },

  async "parameterized queries and errors"() {
    const insert = `insert into ${table} values ($1, $2, $3)`;
    await withClients(async (clients) => {
      await inTurns(clients, async (client, worker, turn) => {
        await client.query(insert, [worker, turn, `${worker}.${turn}`]);
        const twice = { name: "insert", text: insert, values: [worker, turn, "twice"] };
        await assert.rejects(client.query(twice), { code: "23505" });
        await assert.rejects(client.query("select 1 / $1::int", [0]), { code: "22012" });
        await assert.rejects(client.query({ name: "bad", text: "selec 1" }), { code: "42601" });
        const { rows } = await client.query({
          name: "count",
          text: `select count(*)::int as n from ${table} where worker = $1`,
          values: [worker],
        });
        assert.deepEqual(rows, [{ n: turn + 1 }]);
      });
    });
  },

  // Not awaited one by one: the client queues them, the answers must come in order.
  async "queries queued on one client"() {
    await withClients(async (clients) => {
      await inTurns(clients, async (client, worker, turn) => {
        const numbers = [...Array(12).keys()];
        const results = await Promise.all(
          numbers.map((n) =>
            client.query({
              name: `n${n % 4}`,
              text: `select $1::int * 100 + ${worker * 10 + (n % 4)} as n`,
              values: [n],
            }),
          ),
        );
        const expected = numbers.map((n) => n * 100 + worker * 10 + (n % 4));
        assert.deepEqual(results.map((result) => result.rows[0].n), expected);
      });
    });
  },

  async "several statements in one query"() {
    await withClients(async (clients) => {
      await inTurns(clients, async (client, worker, turn) => {
        const results = await client.query(`begin; select ${worker} as w; select ${turn}; commit`);
        assert.deepEqual(results.map((result) => result.command), [
          "BEGIN",
          "SELECT",
          "SELECT",
          "COMMIT",
        ]);
        assert.deepEqual(results[1].rows, [{ w: worker }]);
      });
    });
  },

  async "a cursor in a transaction"() {
    await withClients(async (clients) => {
      await inTurns(clients, async (client, worker) => {
        await client.query("begin");
        const text = `select n + ${worker} as n from generate_series(1, $1) as n`;
        const cursor = client.query(new Cursor(text, [25]));
        const seen = [];
        for (let rows = await cursor.read(10); rows.length > 0; rows = await cursor.read(10)) {
          seen.push(...rows.map((row) => row.n));
        }
        await cursor.close();
        await client.query("commit");
        assert.deepEqual(seen, [...Array(25).keys()].map((n) => n + 1 + worker));
      });
    });
  },

  async "its own pool"() {
    const pool = new pg.Pool({ connectionString: url, max: 4 });
    try {
      for (let turn = 0; turn < TURNS; turn++) {
        const results = await Promise.all(
          [...Array(12).keys()].map((n) =>
            pool.query({
              name: `shared-${n % 5}`,
              text: `select $1::int + ${n % 5} as n`,
              values: [turn],
            }),
          ),
        );
        assert.deepEqual(
          results.map((result) => result.rows[0].n),
          [...Array(12).keys()].map((n) => turn + (n % 5)),
        );
      }
    } finally {
      await pool.end();
    }
  },
};

for (const [name, scenario] of Object.entries(scenarios)) {
  try {
    await scenario();
    console.log(`ok ${name}`);
  } catch (failure) {
    console.error(`FAILED ${name}`, failure);
    process.exitCode = 1;
  }
}
