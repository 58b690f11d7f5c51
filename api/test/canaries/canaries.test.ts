import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { credentialsPath } from "@tradingbots/crds";
import { escapeIdentifier } from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { z } from "zod";
import { type ApiProcess, startApiProcess } from "../api-process.ts";
import { BUCKETS, startCluster, type TestCluster } from "../cluster.ts";
import { startDatabase, type TestDatabase } from "../database.ts";
import { type MailSink, startMailSink } from "../mail-sink.ts";
import { startTestVault, type TestVault } from "../vault.ts";
import { inspect, INSPECTABLE, inspectorsOf } from "./heap.ts";
import { live, type Lived } from "./live.ts";
import { createSearch } from "./search.ts";

/**
 * Marked secrets go through the real API, as a process, into a real Vault, and are then looked for wherever they have no business.
 * One more is planted in each of these places: it must be found, and nothing else.
 */

let database: TestDatabase;
let cluster: TestCluster;
let vault: TestVault;
let sink: MailSink;
let api: ApiProcess;
let lived: Lived;

const SMTP_PASSWORD = "canary-smtp-Zq83-password";
const PLANTED = "canary-planted-Xw55-secret";
const ONLY_PLANTED = ["planted"];

beforeAll(async () => {
  [database, cluster, sink] = await Promise.all([
    startDatabase(),
    startCluster(),
    startMailSink({ takesLogins: true }),
  ]);
  vault = await startTestVault(cluster);
  const smtp = new URL(sink.url);
  [smtp.username, smtp.password] = ["mailer", SMTP_PASSWORD];
  api = await startApiProcess({
    database,
    cluster,
    environment: {
      BUCKETS: String(BUCKETS),
      APP_URL: "https://app.example.com",
      LOG_LEVEL: "debug",
      MAIL_FROM: "noreply@example.com",
      VAULT_ADDR: vault.address,
      VAULT_TOKEN_FILE: await vault.tokenFile(),
    },
    smtpUrl: smtp.href,
    nodeFlags: INSPECTABLE,
  });
  lived = await live({ api, sink, loseVault });
  await plant();
});
afterAll(() => Promise.all([api.stop(), sink.stop(), database.stop(), cluster.stop()]));

/** The key has arrived, and from now on none does. */
async function loseVault(accountId: string): Promise<void> {
  const { rows } = await database.superuser.query<{ namespace: string }>(
    "select namespace from accounts where id = $1",
    [accountId],
  );
  const path = credentialsPath(rows[0]?.namespace ?? "", accountId);
  expect(JSON.stringify(await vault.peek(path))).toContain("canary-two-Lq17-key");
  await vault.stop();
}

/** Through the API as well: a path goes to logs and answers, a name to the cluster. The audit keeps no words of a caller's. */
async function plant(): Promise<void> {
  await database.superuser.query(
    "insert into audit (actor_kind, action, object, outcome) values ('system', 'plant', $1, 'done')",
    [PLANTED],
  );
  const headers = {
    authorization: `Bearer ${lived.accessToken}`,
    "content-type": "application/json",
  };
  for (const path of [`/api/${PLANTED}`, `/api/bots/${PLANTED}`]) {
    lived.errors.push(await (await fetch(`${api.url}${path}`, { headers })).text());
  }
  const bot = {
    displayName: PLANTED,
    exchange: "bybit",
    mode: "paper",
    symbols: ["BTC/USDT:USDT"],
    strategy: { name: "rsi", params: {} },
  };
  const made = await fetch(`${api.url}/api/bots`, {
    method: "POST",
    headers,
    body: JSON.stringify(bot),
  });
  expect(made.status).toBe(201);
}

function search(haystack: Buffer | string, but: ReadonlySet<string> = new Set()): string[] {
  const canaries = [
    ...lived.canaries,
    { name: "SMTP password", secret: SMTP_PASSWORD },
    { name: "planted", secret: PLANTED },
  ];
  const find = createSearch(canaries.filter(({ name }) => !but.has(name)));
  return [...find(Buffer.from(haystack))].toSorted((one, other) => one.localeCompare(other));
}

/** All files below a directory, one after the other. */
async function filesOf(directory: string): Promise<Buffer> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Buffer.concat(
    await Promise.all(files.map(({ parentPath, name }) => readFile(join(parentPath, name)))),
  );
}

async function auditExport(): Promise<string> {
  const main = join(import.meta.dirname, "..", "..", "src", "audit", "main.ts");
  const env = { ADMIN_DATABASE_URL: database.adminUrl };
  return (await promisify(execFile)(process.execPath, [main, "export"], { env })).stdout;
}

test("secrets have been everywhere", () => {
  const names = new Set(lived.canaries.map(({ name }) => name));
  expect(names.size).toBeGreaterThan(30);
  expect(lived.errors.length).toBeGreaterThan(10);
  expect(lived.errors.join("\n")).toContain("vault_unavailable");
});

test("logs at every level", async () => {
  await vi.waitUntil(() => api.output().includes(PLANTED));
  expect(api.output()).toContain("vault_unavailable");
  expect(search(api.output())).toEqual(ONLY_PLANTED);
});

test("bodies of errors", () => {
  expect(search(lived.errors.join("\n"))).toEqual(ONLY_PLANTED);
});

test("the audit's export", async () => {
  await vi.waitUntil(async () => (await auditExport()).includes(PLANTED), {
    timeout: 20_000,
    interval: 500,
  });
  expect(search(await auditExport())).toEqual(ONLY_PLANTED);
});

test("metrics", async () => {
  const metrics = await (await fetch(api.metricsUrl)).text();
  expect(metrics).toContain('route="/api/accounts/:id/credentials"');
  expect(search(`${metrics}# HELP ${PLANTED}\n`)).toEqual(ONLY_PLANTED);
});

test("every table of Postgres, as a dump would have it", async () => {
  const { superuser } = database;
  const { rows: tables } = await superuser.query<{ name: string }>(
    "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'm')",
  );
  const dump: string[] = [];
  for (const { name } of tables) {
    const { rows } = await superuser.query<{ row: string }>(
      `select t::text as row from ${escapeIdentifier(name)} t`,
    );
    dump.push(name, ...rows.map(({ row }) => row));
  }
  expect(dump.join("\n")).toContain("canary@example.com");
  expect(search(dump.join("\n"))).toEqual(ONLY_PLANTED);
});

test("the files of Postgres: data, log, and what was written ahead", async () => {
  const { superuser } = database;
  await superuser.query("checkpoint");
  const { rows } = await superuser.query<{ data_directory: string }>("show data_directory");
  const files = await filesOf(join(rows[0]?.data_directory ?? "", ".."));
  expect(files.includes("canary@example.com")).toBe(true);
  expect(search(files)).toEqual(ONLY_PLANTED);
});

test("every key of etcd, and its files", async () => {
  const { etcdUrl, directory } = cluster.controlPlane;
  const all = Buffer.from([0]).toString("base64");
  const response = await fetch(`${etcdUrl}/v3/kv/range`, {
    method: "POST",
    body: JSON.stringify({ key: all, range_end: all }),
  });
  const Range = z.object({ kvs: z.array(z.object({ key: z.base64(), value: z.base64() })) });
  const { kvs } = Range.parse(await response.json());
  const texts = kvs.flatMap(({ key, value }) => [key, value]);
  const dump = Buffer.concat(texts.map((text) => Buffer.from(text, "base64")));
  expect(dump.includes(lived.accountId)).toBe(true);
  expect(search(dump)).toEqual(ONLY_PLANTED);
  expect(search(await filesOf(directory))).toEqual(ONLY_PLANTED);
});

test("what is reachable in the memory of the API and of its bcrypt process", async () => {
  const inspectors = inspectorsOf(api.output());
  expect(inspectors).toHaveLength(2);
  for (const url of inspectors) {
    const process = await inspect(url);
    // In two pieces: the expression itself must not be what is found.
    const [head, tail] = [PLANTED.slice(0, 8), PLANTED.slice(8)];
    await process.evaluate(
      `globalThis.planted = [${JSON.stringify(head)}, ${JSON.stringify(tail)}].join("")`,
    );
    await process.evaluate(`globalThis.plantedBytes = Buffer.from(planted)`);
    const [strings, bytes] = await process.reachable();
    process.close();
    expect(search(strings, lived.held)).toEqual(ONLY_PLANTED);
    expect(search(bytes, lived.held)).toEqual(ONLY_PLANTED);
  }
});
