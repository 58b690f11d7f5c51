import { access } from "node:fs/promises";
import { Client } from "pg";
import { expect, test } from "vitest";
import { startPostgres } from "../postgres.ts";

test("a server starts, keeps databases apart, insists on passwords and leaves nothing behind", async () => {
  const postgres = await startPostgres();
  const database = await postgres.createDatabase();
  const client = new Client(postgres.url(database));
  await client.connect();
  await client.query("create table colours (name text)");
  const { rows } = await client.query<{ version: string }>("select version()");
  expect(rows[0]?.version).toMatch(/^PostgreSQL 18/);
  await client.query("create role somebody login password 'right'");
  await client.end();

  const copy = await postgres.createDatabase(database);
  const somebody = new Client(postgres.url(copy, { name: "somebody", password: "right" }));
  await somebody.connect();
  await expect(somebody.query("select name from colours")).rejects.toThrow(/permission denied/);
  await somebody.end();

  const wrong = new Client(postgres.url(database, { name: "somebody", password: "wrong" }));
  await expect(wrong.connect()).rejects.toThrow(/password authentication failed/);

  await postgres.stop();
  await expect(access(`/proc/${postgres.pid}`)).rejects.toThrow(/ENOENT/);
});
