import { spawn } from "node:child_process";
import { once } from "node:events";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
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

test("a server does not outlive a killed test run", async () => {
  const harness = join(import.meta.dirname, "..", "postgres.ts");
  const script = `const { startPostgres } = await import(${JSON.stringify(harness)});
    console.log((await startPostgres()).pid); setInterval(() => {}, 1_000);`;
  const runner = spawn(process.execPath, ["--input-type=module", "-e", script]);
  const [line] = (await once(runner.stdout, "data")) as readonly unknown[];
  const pid = Number(String(line));
  await expect(access(`/proc/${pid}`)).resolves.toBeUndefined();
  runner.kill("SIGKILL");
  const deadline = Date.now() + 10_000;
  const isAlive = () =>
    access(`/proc/${pid}`).then(
      () => true,
      () => false,
    );
  while ((await isAlive()) && Date.now() < deadline) await sleep(50);
  expect(await isAlive()).toBe(false);
});
