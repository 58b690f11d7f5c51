import { ExchangeAccount, TradingBot } from "@tradingbots/crds";
import { customResource } from "@tradingbots/kube";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { z } from "zod";
import { sweepHalfMade } from "../src/accounts/half-made.ts";
import { alone } from "../src/alone.ts";
import { createPool } from "../src/database.ts";
import { removeOldKeys } from "../src/idempotency.ts";
import { createKube, type CustomObjects } from "../src/kube.ts";
import { expireSubscriptions } from "../src/subscriptions/expire.ts";
import { settleBots } from "../src/subscriptions/settle-bots.ts";
import { signUp, startApi, type TestApi, type TestUser } from "./api.ts";

let api: TestApi;
let workerPool: ReturnType<typeof createPool>;
let swept: Parameters<typeof settleBots>[0] & Parameters<typeof sweepHalfMade>[0];
const failures: unknown[] = [];
beforeAll(async () => {
  api = await startApi();
  workerPool = createPool({ url: api.database.workerUrl, connectionsMax: 4 });
  const kube = createKube(api.cluster.client);
  swept = { workerPool, kube, onError: (error) => void failures.push(error) };
});
afterAll(async () => {
  await workerPool.end();
  await api.stop();
});

const BOT = {
  exchange: "bybit",
  mode: "paper",
  symbols: ["BTC/USDT:USDT"],
  strategy: { name: "rsi", params: {} },
};
const Created = z.object({ id: z.string() });

async function customer(name: string): Promise<TestUser> {
  const user = await signUp(api, name);
  await api.database.superuser.query("update users set tier = 'pro' where id = $1", [user.id]);
  await tierIs(user, "pro");
  return user;
}

async function tierIs(user: TestUser, tier: string): Promise<void> {
  await vi.waitUntil(async () => {
    const { body } = await user.call("GET /api/me");
    const { headers } = await user.call("GET /api/me");
    const isSeen = tier === "enterprise" || String(headers["ratelimit-policy"]).includes(tier);
    return isSeen && z.object({ tier: z.string() }).parse(body).tier === tier;
  });
}

async function createBot(user: TestUser, displayName: string, leverage = 5): Promise<string> {
  const body = { ...BOT, displayName, risk: { leverage }, state: "Running" };
  const answer = await user.call("POST /api/bots", { body });
  expect(answer.status).toBe(201);
  return Created.parse(answer.body).id;
}

/** What the operator would say. */
async function say(id: string, flat: "True" | "False"): Promise<void> {
  const { rows } = await api.database.superuser.query<{ namespace: string }>(
    "select namespace from bots where id = $1",
    [id],
  );
  const condition = {
    type: "Flat",
    status: flat,
    reason: "Test",
    message: "",
    lastTransitionTime: "2026-01-01T00:00:00Z",
  };
  await api.cluster.admin.patch(
    customResource(TradingBot),
    { namespace: rows[0]?.namespace ?? "", name: id },
    { type: "merge", subresource: "status", body: { status: { conditions: [condition] } } },
  );
}

async function states(user: TestUser): Promise<Readonly<Record<string, string>>> {
  const { body } = await user.call("GET /api/bots");
  const View = z.object({ displayName: z.string(), state: z.string(), className: z.string() });
  const { items } = z.object({ items: z.array(View) }).parse(body);
  return Object.fromEntries(
    items.map(({ displayName, state, className }) => [displayName, `${state} ${className}`]),
  );
}

async function sweep(): Promise<void> {
  await expireSubscriptions(workerPool);
  await settleBots(swept);
}

test("an ended subscription: back to free, bots above pause and say so, positions stay where they are", async () => {
  const user = await customer("expiring");
  const first = await createBot(user, "first");
  const second = await createBot(user, "second", 50);
  const third = await createBot(user, "third");
  await createBot(user, "fourth");
  await say(first, "True");
  await say(third, "False");
  await sweep();
  expect(await states(user)).toMatchObject({ first: "Running pro", fourth: "Running pro" });

  await api.database.superuser.query(
    "update users set subscription_expires_at = now() - interval '1 second' where id = $1",
    [user.id],
  );
  await sweep();
  await sweep(); // again: nothing more happens
  const after = {
    first: "Running free",
    second: "Paused pro",
    third: "Running pro",
    fourth: "Paused pro",
  };
  expect(await states(user)).toEqual(after);
  await tierIs(user, "free");
  const { body } = await user.call("GET /api/notices");
  const { items } = z
    .object({ items: z.array(z.object({ kind: z.string(), message: z.string() })) })
    .parse(body);
  expect(items.map(({ kind }) => kind).toSorted((a, b) => a.localeCompare(b))).toEqual([
    "bot_paused",
    "bot_paused",
    "subscription_ended",
  ]);
  expect(items.map(({ message }) => message).join("\n")).toMatch(
    /"second" is paused: risk.leverage 50 is above the limit 10 of class free/,
  );

  await say(third, "True");
  await sweep();
  expect(await states(user)).toEqual({ ...after, third: "Running free" });
  const { rows } = await api.database.superuser.query(
    "select bots_settled_at = tier_changed_at as settled from users where id = $1",
    [user.id],
  );
  expect(rows).toEqual([{ settled: true }]);

  // Starting one again is judged by the tier of now.
  expect((await user.call(`POST /api/bots/${second}/start`)).status).toBe(202);
  expect(await states(user)).toMatchObject({ second: "Running free" });
  expect(failures).toEqual([]);
});

test("notices come page by page, those of one moment too, and a cursor may name any time", async () => {
  const user = await signUp(api, "noticed");
  await api.database.superuser.query(
    `insert into notices (user_id, id, kind, message, created_at)
     select $1, gen_random_uuid(), 'bot_paused', 'notice ' || n, timestamptz '2026-01-01' + n / 3 * interval '1 ms'
       from generate_series(1, 7) as n`,
    [user.id],
  );
  const Page = z.object({ items: z.array(Created), next: z.string().nullable() });
  const pageAt = async (query: string) =>
    Page.parse((await user.call(`GET /api/notices?${query}`)).body);
  const ids: string[] = [];
  let query = "limit=2";
  for (let next: string | null = ""; next !== null; query = `limit=2&cursor=${next}`) {
    const page = await pageAt(query);
    ids.push(...page.items.map(({ id }) => id));
    next = page.next;
  }
  expect(ids).toEqual((await pageAt("limit=200")).items.map(({ id }) => id));
  expect(new Set(ids).size).toBe(7);
  const longAgo = JSON.stringify(["0000-01-01T00:00:00Z", user.id]);
  const cursor = Buffer.from(longAgo).toString("base64url");
  expect(await pageAt(`cursor=${cursor}`)).toEqual({ items: [], next: null });
});

test("a bot is started in the class that its owner has now, whatever the token says", async () => {
  const user = await signUp(api, "upgraded"); // a token of the tier free
  await user.call("POST /api/bots", { body: { ...BOT, displayName: "first", state: "Stopped" } });
  // One transaction: no poll sees the change, as in the half second before one does.
  await api.database.superuser.query(
    `update users set tier = 'pro' where id = '${user.id}'; update users set tier_changed_at = null where id = '${user.id}'`,
  );
  const { body } = await user.call("GET /api/bots");
  const [bot] = z.object({ items: z.array(Created) }).parse(body).items;
  expect((await user.call(`POST /api/bots/${bot?.id}/start`)).status).toBe(202);
  expect(await states(user)).toEqual({ first: "Running pro" });
});

test("one user whose class is missing keeps nobody else waiting", async () => {
  const stuck = await customer("stuck");
  await createBot(stuck, "bot");
  const { superuser } = api.database;
  await superuser.query("update users set tier = 'enterprise' where id = $1", [stuck.id]); // no such class here
  const user = await customer("other");
  await sweep();
  expect(failures.splice(0)).toMatchObject([{ code: "class_unavailable" }]);
  const { rows } = await superuser.query(
    "select bots_settled_at is not null as settled from users where id = any($1) order by email",
    [[stuck.id, user.id]],
  );
  expect(rows).toEqual([{ settled: true }, { settled: false }]);
  await superuser.query("update users set tier = 'pro' where id = $1", [stuck.id]);
});

test("however many wait for a class, whose tier changed after them is looked at", async () => {
  const { superuser } = api.database;
  await superuser.query(
    `insert into users (id, email, password_hash, namespace, tier, tier_changed_at)
     select gen_random_uuid(), 'waiting-' || n || '@example.com', '', 'tradingbots-00', 'enterprise', now() - interval '1 hour'
       from generate_series(1, 1001) n`,
  );
  const user = await customer("behindall");
  const { findClass } = swept.kube;
  const kube = {
    ...swept.kube,
    findClass: async (name: string) => (name === "enterprise" ? undefined : findClass(name)),
  };
  await settleBots({ ...swept, kube });
  expect(failures.splice(0)).toHaveLength(1_001);
  const { rows } = await superuser.query(
    "select bots_settled_at is not null as settled from users where id = $1",
    [user.id],
  );
  expect(rows).toEqual([{ settled: true }]);
  await superuser.query("delete from users where email like 'waiting-%'");
});

test("work that one process does at a time is left to it", async () => {
  const begun = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  const first = alone(workerPool, "halfMade", async () => {
    begun.resolve();
    await end.promise;
  });
  await begun.promise;
  let ran = 0;
  const count = async () => void ran++;
  await alone(workerPool, "halfMade", count);
  await alone(workerPool, "subscriptions", count);
  expect(ran).toBe(1);
  end.resolve();
  await first;
  await alone(workerPool, "halfMade", count);
  expect(ran).toBe(2);
});

const ACCOUNT = {
  exchange: "bybit",
  name: "Main",
  testnet: true,
  credentials: { apiKey: "key", apiSecret: "secret" },
};

/** A creation that came as far as Vault. */
async function halfMadeAccount(
  user: TestUser,
  key: string,
  fault: "request lost" | "refused" | "Vault's answer lost" = "request lost",
): Promise<string> {
  if (fault === "Vault's answer lost") api.credentials.loseAnswers(true);
  else api.connection.fault = fault;
  const headers = { "idempotency-key": key };
  const { status } = await user.call("POST /api/accounts", { body: ACCOUNT, headers });
  api.connection.fault = "none";
  api.credentials.loseAnswers(false);
  expect(status).toBe(fault === "refused" ? 422 : 503);
  const { rows } = await api.database.superuser.query<{ id: string }>(
    "select id from accounts where user_id = $1 order by created_at desc limit 1",
    [user.id],
  );
  return rows[0]?.id ?? "";
}

async function age(): Promise<void> {
  for (const table of ["accounts", "bots"]) {
    await api.database.superuser.query(
      `update ${table} set created_at = created_at - interval '11 minutes'`,
    );
  }
}

async function accountResource(id: string) {
  const { rows } = await api.database.superuser.query<{ namespace: string }>(
    "select namespace from accounts where id = $1",
    [id],
  );
  const key = { namespace: rows[0]?.namespace ?? "", name: id };
  return api.cluster.admin.get(customResource(ExchangeAccount), key);
}

test("an Idempotency-Key goes after a day, also of a user who never comes back, and no earlier", async () => {
  const { superuser } = api.database;
  for (const [name, key] of [
    ["gone", "over"],
    ["about", "young"],
  ] as const) {
    const body = { ...BOT, displayName: name };
    const headers = { "idempotency-key": key };
    const answer = await (await signUp(api, name)).call("POST /api/bots", { body, headers });
    expect(answer.status).toBe(201);
  }
  await superuser.query(
    `update idempotency_keys set created_at = now() - interval '24 hours'
       + case key when 'over' then interval '-1 second' else interval '1 minute' end
      where key in ('over', 'young')`,
  );
  // More than one statement removes.
  await superuser.query(
    `insert into idempotency_keys (user_id, key, request, object_id, created_at)
     select user_id, 'old-' || n, '', '', created_at
       from idempotency_keys, generate_series(1, 6000) n where key = 'over'`,
  );
  await removeOldKeys(workerPool);
  const { rows } = await superuser.query(
    "select key from idempotency_keys where key in ('over', 'young') or key like 'old-%'",
  );
  expect(rows).toEqual([{ key: "young" }]);
  const { rowCount } = await workerPool.query("delete from idempotency_keys");
  expect(rowCount).toBe(0); // whatever the sweep asks for
});

test("an account that was never finished is retired, so that the operator removes its key", async () => {
  const user = await signUp(api, "half");
  const id = await halfMadeAccount(user, "half");
  await sweepHalfMade(swept);
  expect(await accountResource(id)).toBeUndefined(); // its creation may still be under way
  await age();
  await sweepHalfMade(swept);
  await sweepHalfMade(swept);
  expect(await accountResource(id)).toMatchObject({
    spec: { userId: user.id, state: "Retired" },
  });
  const again = await user.call("POST /api/accounts", {
    body: ACCOUNT,
    headers: { "idempotency-key": "half" },
  });
  expect(again).toMatchObject({ status: 404 });
  expect(failures).toEqual([]);
});

test.each(["request lost", "refused", "Vault's answer lost"] as const)(
  "the key of an account that ended before it began (%s) is removed, also when its owner looks first",
  async (fault) => {
    const user = await signUp(api, fault.replaceAll(/[^a-z]/g, ""));
    const id = await halfMadeAccount(user, "half", fault);
    await age();
    expect((await user.call("GET /api/accounts")).body).toMatchObject({ items: [] });
    expect((await user.call(`GET /api/accounts/${id}`)).status).toBe(404);
    await sweepHalfMade(swept);
    expect(await accountResource(id)).toMatchObject({ spec: { state: "Retired" } });
    expect(failures).toEqual([]);
  },
);

test("a sweep that died in the middle is finished by the next", async () => {
  const user = await signUp(api, "interrupted");
  const id = await halfMadeAccount(user, "interrupted");
  await age();
  const kube = {
    ...swept.kube,
    accounts: {
      ...swept.kube.accounts,
      create: () => {
        throw new Error("died");
      },
    },
  };
  await sweepHalfMade({ ...swept, kube });
  await sweepHalfMade({ ...swept, kube });
  expect(failures.splice(0)).toMatchObject([{ message: "died" }, { message: "died" }]);
  await sweepHalfMade(swept);
  expect(await accountResource(id)).toMatchObject({ spec: { state: "Retired" } });
  expect(await givenUp(user)).toBe(1); // once, however often it is tried
});

test("however many cannot be cleared away, what comes after them is", async () => {
  const stuck = await signUp(api, "stuckhalves");
  const user = await signUp(api, "behind");
  const account = await halfMadeAccount(user, "behind");
  await age();
  for (const table of ["accounts", "bots"]) {
    await api.database.superuser.query(
      `insert into ${table} (user_id, id, namespace, created_at)
       select $1, '${table}-stuck-' || n, 'away', now() - interval '1 hour' from generate_series(1, 600) n`,
      [stuck.id],
    );
  }
  const { accounts, bots } = swept.kube;
  const kube = { ...swept.kube, accounts: unlessAway(accounts), bots: unlessAway(bots) };
  await sweepHalfMade({ ...swept, kube });
  expect(await accountResource(account)).toMatchObject({ spec: { state: "Retired" } });
  expect(failures.splice(0)).toHaveLength(1_200);
  for (const table of ["accounts", "bots"]) {
    await api.database.superuser.query(`update ${table} set gone_at = now() where user_id = $1`, [
      stuck.id,
    ]);
  }
});

/** Of the namespace `away` nothing can be known. */
function unlessAway<T>(objects: CustomObjects<T>): CustomObjects<T> {
  const get: typeof objects.get = async (key) => {
    if (key.namespace === "away") throw new Error("away");
    return objects.get(key);
  };
  return { ...objects, get };
}

/** How often the audit says that an account of the user's was given up. */
async function givenUp(user: TestUser): Promise<number | null> {
  const { rowCount } = await api.database.superuser.query(
    "select from audit where user_id = $1 and action = 'account.give-up'",
    [user.id],
  );
  return rowCount;
}

test("an account that its owner deletes within minutes does not come back", async () => {
  const user = await signUp(api, "mistyped");
  const { id } = Created.parse((await user.call("POST /api/accounts", { body: ACCOUNT })).body);
  expect((await user.call(`DELETE /api/accounts/${id}`)).status).toBe(202);
  const resource = await accountResource(id);
  const key = { namespace: resource?.metadata.namespace ?? "", name: id };
  await api.cluster.admin.remove(customResource(ExchangeAccount), key); // as the operator does
  expect((await user.call(`GET /api/accounts/${id}`)).status).toBe(404);
  await age();
  await sweepHalfMade(swept);
  expect(await accountResource(id)).toBeUndefined();
  expect(await givenUp(user)).toBe(0);
  const { rows } = await api.database.superuser.query(
    "select gone_at is not null as gone from accounts where id = $1",
    [id],
  );
  expect(rows).toEqual([{ gone: true }]);
});

test("what is whole, and what a repeated request has taken up again, is left alone", async () => {
  const user = await signUp(api, "whole");
  const { body } = await user.call("POST /api/accounts", { body: ACCOUNT });
  const { id } = Created.parse(body);
  const half = await halfMadeAccount(user, "repeated");
  await age();
  const headers = { "idempotency-key": "repeated" };
  const repeated = await user.call("POST /api/accounts", { body: ACCOUNT, headers });
  expect(repeated).toMatchObject({ status: 201, body: { id: half } });
  await sweepHalfMade(swept);
  for (const each of [id, half]) {
    expect(await accountResource(each)).toMatchObject({ spec: { state: "Active" } });
  }
});

test("a bot that was never finished counts no more", async () => {
  const user = await signUp(api, "bots");
  api.connection.fault = "request lost";
  await user.call("POST /api/bots", { body: { ...BOT, displayName: "lost" } });
  api.connection.fault = "none";
  const whole = await createBot(user, "whole");
  await age();
  await sweepHalfMade(swept);
  const { rows } = await api.database.superuser.query(
    "select id = $2 as whole, gone_at is not null as gone from bots where user_id = $1 order by 1",
    [user.id, whole],
  );
  expect(rows).toEqual([
    { whole: false, gone: true },
    { whole: true, gone: false },
  ]);
});
