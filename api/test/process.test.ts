import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { TradingBot } from "@tradingbots/crds";
import { customResource } from "@tradingbots/kube";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { openApiDocument } from "../src/openapi/document.ts";
import { type ApiProcess, startApiProcess } from "./api-process.ts";
import { startCluster, type TestCluster, until } from "./cluster.ts";
import { startDatabase, type TestDatabase } from "./database.ts";

let database: TestDatabase;
let cluster: TestCluster;
let api: ApiProcess;

beforeAll(async () => {
  [database, cluster] = await Promise.all([startDatabase(), startCluster()]);
  await leaveWork(database.superuser);
  api = await startApiProcess({ database, cluster, environment: { RATE_LIMIT_FREE: "5" } });
});
afterAll(() => Promise.all([api.stop(), database.stop(), cluster.stop()]));

const ABSENT = "00000000-0000-4000-8000-00000000000a";

/** What the process finds at its start: something for each of its sweeps. */
async function leaveWork(superuser: TestDatabase["superuser"]): Promise<void> {
  await superuser.query(`
    insert into users (id, email, password_hash, namespace, tier, subscription_expires_at)
      values ('${ABSENT}', 'absent@example.com', 'x', 'tradingbots-00', 'pro', now() - interval '1 hour');
    insert into bots (user_id, id, namespace, created_at)
      values ('${ABSENT}', 'bot-half-made', 'tradingbots-00', now() - interval '1 hour');
    insert into idempotency_keys (user_id, key, request, object_id, created_at)
      values ('${ABSENT}', 'a', '', '', now() - interval '25 hours');
    insert into personal_data_jobs (user_id, kind) values ('${ABSENT}', 'export');
    insert into audit (actor_kind, actor_id, action, object, outcome)
      values ('user', '${ABSENT}', 'login', '', 'done')`);
}

test("what was left behind is seen to when it starts, each kind of it", async () => {
  await until(async () => {
    const { rows } = await database.superuser.query(
      `select (select tier from users where id = $1) as tier,
              (select gone_at is not null from bots where user_id = $1) as bot_is_gone,
              (select count(*)::int from idempotency_keys where user_id = $1) as keys,
              (select status from personal_data_jobs where user_id = $1) as export,
              (select count(*)::int from audit_unchained) as unchained,
              (select count(*)::int from audit_chain) > 0 as is_chained`,
      [ABSENT],
    );
    expect(rows).toEqual([
      {
        tier: "free",
        bot_is_gone: true,
        keys: 0,
        export: "done",
        unchained: 0,
        is_chained: true,
      },
    ]);
    const metrics = await (await fetch(api.metricsUrl)).text();
    expect(metrics).toMatch(/^tradingbots_journal_partitions_end_timestamp_seconds\{.*\} \d/m);
  });
});

async function get(path: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${api.url}${path}`, { headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

function register(email: string, password: string): Promise<Response> {
  return fetch(`${api.url}/api/auth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email, password }),
  });
}
const AccessToken = z.object({ accessToken: z.string() });

test("it is ready without Vault and says that Vault fails", async () => {
  expect(JSON.parse((await get("/readyz")).text)).toEqual({
    ready: true,
    checks: {
      database: "ok",
      authDatabase: "ok",
      kubernetes: "ok",
      logins: "ok",
      vault: "failing",
      passwords: "ok",
    },
  });
});

test("a user signs up with a password of cost 12 and has as many requests as the tier", async () => {
  const response = await register("a@example.com", "a-secret-password");
  expect(response.status).toBe(201);
  const { accessToken } = AccessToken.parse(await response.json());
  const { rows } = await database.superuser.query<{ password_hash: string }>(
    "select password_hash from users where email = 'a@example.com'",
  );
  expect(rows[0]?.password_hash).toMatch(/^\$2b\$12\$/);
  const authorization = `Bearer ${accessToken}`;
  const answers = [];
  for (let request = 0; request < 6; request++)
    answers.push(await get("/api/me", { authorization }));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429]);
  expect(answers[0]?.headers.get("ratelimit")).toMatch(/^"free";r=4;t=\d+$/);
  expect(answers[5]?.headers.get("retry-after")).toMatch(/^\d+$/);
  expect(api.output()).not.toContain("a-secret-password");
  expect(api.output()).not.toContain(accessToken);
});

test("whoever shows bad tokens by the thousand keeps out nobody who shares the address", async () => {
  const response = await register("neighbour@example.com", "a-secret-password");
  const { accessToken } = AccessToken.parse(await response.json());
  const forged = accessToken.replace(/[^.]+$/, "A".repeat(86));
  const statuses = new Set<number>();
  for (let batch = 0; batch < 20; batch++) {
    const tries = Array.from({ length: 50 }, () =>
      get("/api/me", { authorization: `Bearer ${forged}` }),
    );
    for (const { status } of await Promise.all(tries)) statuses.add(status);
  }
  expect(statuses).toEqual(new Set([401]));
  const me = await get("/api/me", { authorization: `Bearer ${accessToken}` });
  expect(me.status).toBe(200);
});

test("an address signs up no more than twenty users an hour, and mistypes as often as it likes", async () => {
  const mistyped = await Promise.all(
    Array.from({ length: 25 }, () => register("c@example.com", "short")),
  );
  expect(new Set(mistyped.map(({ status }) => status))).toEqual(new Set([422]));
  const taken = "a@example.com"; // two have signed up above
  for (let attempt = 2; attempt < 20; attempt++) {
    expect((await register(taken, "a-secret-password")).status).toBe(409);
  }
  const refused = await register("c@example.com", "a-secret-password");
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(60);
});

test("it says at its start that no mails can be sent", async () => {
  await until(async () =>
    expect(api.output()).toContain("mails cannot be sent: neither SMTP_URL_FILE"),
  );
});

test("it says once that it believes no forwarded address", async () => {
  for (const address of ["192.0.2.1", "192.0.2.2"]) {
    await get("/healthz", { "x-forwarded-for": address });
  }
  await get("/api/the-last-line");
  await until(async () => expect(api.output()).toContain("/api/the-last-line"));
  expect(api.output().split("X-Forwarded-For is ignored")).toHaveLength(2);
});

test("metrics are on their own port, by route", async () => {
  const response = await fetch(api.metricsUrl);
  expect(await response.text()).toContain('route="/api/me",status="200"');
  expect((await get("/metrics")).status).toBe(404);
});

test("the rights of its service account do not include deleting", async () => {
  const key = { namespace: "tradingbots-00", name: "bot-x" };
  await expect(cluster.client.remove(customResource(TradingBot), key)).rejects.toMatchObject({
    status: 403,
  });
});

test("the committed description is the one that is served", async () => {
  const committed: unknown = JSON.parse(
    await readFile(join(import.meta.dirname, "..", "openapi.json"), "utf8"),
  );
  expect(JSON.parse((await get("/api/openapi.json")).text)).toEqual(committed);
  expect(await openApiDocument()).toEqual(committed);
});

test("whatever is under way besides, SIGTERM closes the port first", async () => {
  await using stack = new AsyncDisposableStack();
  const silent = createServer(); // a mail server that takes connections and says nothing
  await once(silent.listen(0, "127.0.0.1"), "listening");
  const { port } = z.object({ port: z.int() }).parse(silent.address());
  const environment = { MAIL_FROM: "bots@example.com", APP_URL: "https://app.example.com" };
  const smtpUrl = `smtp://127.0.0.1:${port}`;
  const mailing = stack.adopt(
    await startApiProcess({ database, cluster, environment, smtpUrl }),
    (open) => open.stop(),
  );
  const connected = once(silent, "connection");
  await fetch(`${mailing.url}/api/auth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email: "b@example.com", password: "a-secret-password" }),
  });
  await connected;
  const exited = once(mailing.child, "exit");
  mailing.child.kill("SIGTERM");
  const answers = () =>
    fetch(`${mailing.url}/healthz`).then(
      () => true,
      () => false,
    );
  await expect.poll(answers, { timeout: 2_000 }).toBe(false);
  expect(mailing.child.exitCode).toBeNull(); // it waits for the mail, which is given up after 5 s
  await exited;
  expect(mailing.child.exitCode).toBe(0);
}, 60_000);

test("SIGTERM ends it with its bcrypt process", async () => {
  const exited = once(api.child, "exit");
  api.child.kill("SIGTERM");
  await exited;
  expect(api.child.exitCode).toBe(0);
  await expect(get("/healthz")).rejects.toThrow("fetch failed");
});
