import { createHash, randomUUID } from "node:crypto";
import { createLocalJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { noteRemoved } from "../src/auth/mfa-routes.ts";
import { endSessions, makeRoom } from "../src/auth/session-store.ts";
import { createStepUp } from "../src/auth/step-up.ts";
import { asTenant, createPool, type Queryable } from "../src/database.ts";
import { ApiError } from "../src/errors.ts";
import { caller, signUp, startApi, type Answer, type TestApi, type TestUser } from "./api.ts";

let api: TestApi;
let user: TestUser;
let people = 0;

beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());
beforeEach(async () => {
  user = await signUp(api, `person-${(people += 1)}`);
});

const PASSWORD = "correct horse battery";
const REFRESH = "__Host-tradingbots-refresh";
const CSRF = "__Host-tradingbots-csrf";
const DEVICE = "__Host-tradingbots-device";

const Jwks = z.object({
  keys: z.array(
    z.object({
      kty: z.literal("EC"),
      crv: z.string(),
      x: z.string(),
      y: z.string(),
      kid: z.string(),
    }),
  ),
});

const codeOf = ({ status, body }: Answer) => ({
  status,
  code: z.object({ code: z.string() }).parse(body).code,
});
const ENDED = { status: 401, code: "session_ended" };

function cookiesOf({ headers }: Answer): Readonly<Record<string, string>> {
  const lines = z.array(z.string()).catch([]).parse(headers["set-cookie"]);
  return Object.fromEntries(
    lines.map((line) => {
      const [name = "", value = ""] = (line.split(";", 1)[0] ?? "").split("=", 2);
      return [name, value];
    }),
  );
}

async function logIn(password = PASSWORD, userAgent = "a test") {
  const body = { email: user.email, password };
  const headers = { "user-agent": userAgent };
  const answer = await caller(api)("POST /api/auth/login", { body, headers });
  return { ...answer, token: cookiesOf(answer)[REFRESH] ?? "" };
}

const withCookie = (path: "refresh" | "logout", token: string, headers = {}) =>
  caller(api)(`POST /api/auth/${path}`, { headers: { cookie: `${REFRESH}=${token}`, ...headers } });

async function refresh(token: string) {
  const answer = await withCookie("refresh", token);
  return { ...answer, token: cookiesOf(answer)[REFRESH] ?? "" };
}

const accessTokenOf = ({ body }: Answer) =>
  z.object({ accessToken: z.string() }).parse(body).accessToken;

async function statusOf(accessToken: string): Promise<number> {
  return (await caller(api, accessToken)("GET /api/me")).status;
}

/** Half a second by design; a busy machine gets more. */
const SOON = { timeout: 10_000, interval: 50 };

async function untilOut(accessToken: string): Promise<void> {
  await expect.poll(() => statusOf(accessToken), SOON).toBe(401);
}

async function forward(minutes: number): Promise<void> {
  await api.database.superuser.query(
    `update sessions set rotated_at = rotated_at - make_interval(secs => $2)
      where user_id = $1`,
    [user.id, minutes * 60],
  );
}

describe("refresh tokens", () => {
  test("each gives another pair; cookies are out of reach for scripts and other sites", async () => {
    const login = await logIn();
    expect(login.headers["set-cookie"]).toEqual([
      expect.stringMatching(new RegExp(`^${REFRESH}=.*Path=/; HttpOnly; Secure; SameSite=Strict$`)),
      expect.stringMatching(new RegExp(`^${CSRF}=.*Path=/; Secure; SameSite=Strict$`)),
      expect.stringMatching(new RegExp(`^${DEVICE}=.*Path=/; HttpOnly; Secure; SameSite=Strict$`)),
    ]);
    expect(JSON.stringify(login.body)).not.toContain(login.token);

    const first = await refresh(login.token);
    expect(first).toMatchObject({ status: 200, body: { expiresIn: 900 } });
    expect(await statusOf(accessTokenOf(first))).toBe(200);
    const second = await refresh(first.token);
    expect(new Set([login.token, first.token, second.token]).size).toBe(3);
  });

  test("neither tokens nor what proves them stand in the database", async () => {
    const { token } = await logIn();
    const { rows } = await api.database.superuser.query("select s::text as row from sessions s");
    const bytes = Buffer.from(token.split(".")[1] ?? "", "base64url");
    const stored = JSON.stringify(rows);
    expect(stored).toContain(createHash("sha256").update(bytes.subarray(32)).digest("hex"));
    expect(stored).not.toContain(bytes.subarray(0, 32).toString("hex"));
    expect(stored).not.toContain(bytes.subarray(32).toString("hex"));
  });

  test("the same token at once, or again after a lost answer, gives the same successor", async () => {
    const { token } = await logIn();
    const [one, other] = await Promise.all([refresh(token), refresh(token)]);
    const again = await refresh(token);
    expect([one.status, other.status, again.status]).toEqual([200, 200, 200]);
    expect(new Set([one.token, other.token, again.token]).size).toBe(1);
    expect((await refresh(one.token)).status).toBe(200);
  });

  test("a used token ends the session for thief and owner, and access with it", async () => {
    const stolen = await logIn();
    const owner = await refresh(stolen.token);
    await forward(2);
    expect(codeOf(await refresh(stolen.token))).toEqual(ENDED);
    expect(codeOf(await refresh(owner.token))).toEqual(ENDED);
    await untilOut(accessTokenOf(owner));
    expect(api.logs.join("")).toContain("a refresh token was used twice");
    expect(api.logs.join("")).not.toContain(stolen.token);
  });

  test.each([
    ["none", undefined],
    ["garbage", "garbage"],
    ["of nobody", `00000000-0000-4000-8000-000000000000.${"A".repeat(86)}`],
  ])("a token that is %s is refused", async (_name, token) => {
    const headers = token === undefined ? {} : { cookie: `${REFRESH}=${token}` };
    const answer = await caller(api)("POST /api/auth/refresh", { headers });
    expect(codeOf(answer)).toEqual(ENDED);
  });

  test.each([
    ["30 days without use", "rotated_at = now() - interval '31 days'"],
    ["180 days", "created_at = now() - interval '181 days'"],
  ])("a session is over after %s", async (_name, change) => {
    const { token } = await logIn();
    await api.database.superuser.query(`update sessions set ${change} where user_id = $1`, [
      user.id,
    ]);
    expect(codeOf(await refresh(token))).toEqual(ENDED);
  });

  test("a session has thirty refreshes a minute, and nobody else can use them up", async () => {
    const { token } = await logIn();
    const forged = `${token.split(".", 1)[0] ?? ""}.${"A".repeat(86)}`;
    for (let attempt = 0; attempt < 31; attempt += 1) await refresh(forged);
    for (let attempt = 0; attempt < 30; attempt += 1) await refresh(token);
    const more = await refresh(token);
    expect(codeOf(more)).toEqual({ status: 429, code: "rate_limited" });
    expect(Number(more.headers["retry-after"])).toBeGreaterThan(0);
    expect((await refresh((await logIn()).token)).status).toBe(200);
  });

  test("a browser must show that one of our pages asked", async () => {
    const login = await logIn();
    const csrf = cookiesOf(login)[CSRF] ?? "";
    const from = (headers: object) => withCookie("refresh", login.token, headers);
    const REFUSED = { status: 403, code: "csrf_token_invalid" };
    expect(codeOf(await from({ origin: "https://evil.example" }))).toEqual(REFUSED);
    expect(codeOf(await from({ "sec-fetch-site": "cross-site" }))).toEqual(REFUSED);
    const wrong = { origin: "https://evil.example", "x-csrf-token": "x".repeat(43) };
    expect(codeOf(await from(wrong))).toEqual(REFUSED);
    const right = { origin: "https://app.example", "x-csrf-token": csrf };
    expect((await from(right)).status).toBe(200);
  });
});

const guess = () =>
  user.call("POST /api/auth/password", {
    body: { currentPassword: "not the password", newPassword: "another long one" },
  });

describe("the end of a log-in", () => {
  test("logging out ends one device, and soon its access token means nothing", async () => {
    const [phone, laptop] = [await logIn(), await logIn()];
    const out = await withCookie("logout", phone.token);
    expect(out.status).toBe(204);
    expect(cookiesOf(out)).toEqual({ [REFRESH]: "", [CSRF]: "" });
    await untilOut(accessTokenOf(phone));
    expect(codeOf(await refresh(phone.token))).toEqual(ENDED);
    expect(await statusOf(accessTokenOf(laptop))).toBe(200);
    expect((await refresh(laptop.token)).status).toBe(200);
  });

  test("a session's id alone, which every access token holds, logs nobody out", async () => {
    const { token } = await logIn();
    const [id] = token.split(".");
    const forged = `${id}.${"B".repeat(86)}`;
    expect((await withCookie("logout", forged)).status).toBe(204);
    expect(codeOf(await refresh(forged))).toEqual(ENDED);
    expect((await refresh(token)).status).toBe(200);
  });

  test("a device that logs in again has one session", async () => {
    const before = await logIn();
    const body = { email: user.email, password: PASSWORD };
    const headers = { cookie: `${REFRESH}=${before.token}` };
    expect((await caller(api)("POST /api/auth/login", { body, headers })).status).toBe(200);
    expect(codeOf(await refresh(before.token))).toEqual(ENDED);
  });

  test("devices are listed and ended by their user only", async () => {
    const laptop = await logIn(PASSWORD, "a laptop");
    const call = caller(api, accessTokenOf(laptop));
    const Devices = z.object({
      items: z.array(z.object({ id: z.string(), isCurrent: z.boolean(), userAgent: z.string() })),
    });
    const { items } = Devices.parse((await call("GET /api/sessions")).body);
    expect(items).toHaveLength(2);
    expect(items[0]).toMatchObject({ userAgent: "a laptop", isCurrent: true });
    const [current, other] = items;

    const stranger = await signUp(api, `stranger-${people}`);
    const foreign = await stranger.call(`DELETE /api/sessions/${current?.id ?? ""}`);
    expect(codeOf(foreign)).toEqual({ status: 404, code: "not_found" });

    expect((await call(`DELETE /api/sessions/${other?.id ?? ""}`)).status).toBe(204);
    await untilOut(user.accessToken);
    expect(Devices.parse((await call("GET /api/sessions")).body).items).toHaveLength(1);
  });

  test("logging out everywhere ends this device too", async () => {
    const laptop = await logIn();
    expect((await user.call("DELETE /api/sessions")).status).toBe(204);
    await untilOut(user.accessToken);
    await untilOut(accessTokenOf(laptop));
    expect((await logIn()).status).toBe(200);
  });

  test("the twenty-first device logs out the one unused for longest", async () => {
    let last = await logIn();
    for (let device = 1; device < 20; device += 1) last = await logIn();
    await untilOut(user.accessToken);
    const { body } = await caller(api, accessTokenOf(last))("GET /api/sessions");
    expect(z.object({ items: z.array(z.unknown()) }).parse(body).items).toHaveLength(20);
  });

  test("a changed password is needed from then on, and every token of before is over", async () => {
    const thief = await logIn();
    const change = (currentPassword: string, newPassword: string) =>
      user.call("POST /api/auth/password", { body: { currentPassword, newPassword } });
    expect(codeOf(await change("not the password", "another long one"))).toEqual({
      status: 401,
      code: "invalid_credentials",
    });
    expect(codeOf(await change(PASSWORD, "short")).code).toBe("weak_password");
    const token = { name: "Script", scopes: ["read"] };
    const made = await user.call("POST /api/tokens", { body: token });
    const { token: apiToken } = z.object({ token: z.string() }).parse(made.body);
    expect(await statusOf(apiToken)).toBe(200);
    const changed = await change(PASSWORD, "another long one");
    expect(changed.status).toBe(200);
    await untilOut(apiToken);
    await untilOut(accessTokenOf(thief));
    await untilOut(user.accessToken);
    expect(await statusOf(accessTokenOf(changed))).toBe(200);
    expect((await refresh(cookiesOf(changed)[REFRESH] ?? "")).status).toBe(200);
    expect((await logIn()).status).toBe(401);
    expect((await logIn("another long one")).status).toBe(200);
  });

  test("a disabled user neither logs in nor refreshes, and their scripts are out", async () => {
    const { token } = await logIn();
    const made = await user.call("POST /api/tokens", {
      body: { name: "Script", scopes: ["read"] },
    });
    const script = caller(api, z.object({ token: z.string() }).parse(made.body).token);
    expect((await script("GET /api/me")).status).toBe(200);
    await api.database.superuser.query("update users set disabled_at = now() where id = $1", [
      user.id,
    ]);
    expect(codeOf(await logIn())).toEqual({ status: 403, code: "user_disabled" });
    expect(codeOf(await logIn("not the password")).code).toBe("invalid_credentials");
    expect(codeOf(await refresh(token))).toEqual(ENDED);
    await expect.poll(async () => (await script("GET /api/me")).status, SOON).toBe(401);
  });

  test("a log-in whose password changes while it is compared begins no session", async () => {
    const { superuser } = api.database;
    await superuser.query("begin");
    await superuser.query("update users set password_hash = 'changed' where id = $1", [user.id]);
    const login = logIn(); // compares with the hash of before, then waits for whoever changes it
    await vi.waitUntil(async () => {
      const { rowCount } = await superuser.query("select from pg_locks where not granted");
      return rowCount === 1;
    });
    await superuser.query("commit");
    const { status } = await login;
    const { rows } = await superuser.query(
      "select 1 from sessions where user_id = $1 and ended_at is null",
      [user.id],
    );
    expect({ status, sessions: rows.length }).toEqual({ status: 401, sessions: 1 });
  });

  test("who holds a token and guesses the password is stopped", async () => {
    for (let attempt = 0; attempt < 10; attempt += 1) expect((await guess()).status).toBe(401);
    expect(codeOf(await guess())).toEqual({ status: 429, code: "too_many_attempts" });
  });
});

const tryFrom = (remoteAddress: string, { password = PASSWORD, cookie = "" } = {}) =>
  api.app.inject({
    method: "POST",
    url: "/api/auth/login",
    remoteAddress,
    headers: { cookie },
    payload: { email: user.email, password },
  });

const deviceOf = (answer: Answer) => `${DEVICE}=${cookiesOf(answer)[DEVICE] ?? ""}`;

test("guesses from many addresses close an account to strangers, and not to the devices of its user", async () => {
  const cookie = deviceOf(await logIn());
  const addresses = Array.from({ length: 100 }, (_, index) => `198.51.100.${index >> 3}`);
  for (const address of addresses) {
    expect((await tryFrom(address, { password: "not the password" })).statusCode).toBe(401);
  }
  const closed = await tryFrom("203.0.113.1");
  expect(closed.statusCode).toBe(429);
  expect(Number(closed.headers["retry-after"])).toBeLessThanOrEqual(900);
  expect((await tryFrom("203.0.113.1", { cookie })).statusCode).toBe(200);
  expect((await tryFrom("203.0.113.1", { cookie: `${DEVICE}=garbage` })).statusCode).toBe(429);
  user = await signUp(api, `person-${(people += 1)}`); // somebody else's cookie opens nothing
  for (const address of addresses) await tryFrom(address, { password: "not the password" });
  expect((await tryFrom("203.0.113.1", { cookie })).statusCode).toBe(429);
});

test("a device of before the password was changed is a stranger's", async () => {
  const before = deviceOf(await logIn());
  const change = { currentPassword: PASSWORD, newPassword: "another long one" };
  const after = deviceOf(await user.call("POST /api/auth/password", { body: change }));
  for (let guesses = 0; guesses < 100; guesses += 1) {
    await tryFrom(`198.51.100.${guesses >> 3}`, { password: "not the password" });
  }
  const attempt = { password: change.newPassword };
  const statusWith = async (cookie: string) =>
    (await tryFrom("203.0.113.2", { ...attempt, cookie })).statusCode;
  expect(await statusWith(before)).toBe(429);
  expect(await statusWith(after)).toBe(200);
});

test("a changed tier counts soon, whatever the token says", async () => {
  const limit = async () =>
    z.string().parse((await user.call("GET /api/me")).headers["ratelimit-policy"]);
  expect(await limit()).toContain("free");
  await api.database.superuser.query("update users set tier = 'pro' where id = $1", [user.id]);
  await expect.poll(limit, SOON).toContain("pro");
});

test("whoever wants to check our tokens finds the key", async () => {
  const answer = await caller(api)("GET /.well-known/jwks.json");
  expect(answer).toMatchObject({
    status: 200,
    headers: { "cache-control": "public, max-age=300" },
  });
  const keys = createLocalJWKSet(Jwks.parse(answer.body));
  const { payload } = await jwtVerify(user.accessToken, keys, { issuer: "tradingbots" });
  expect(payload).toMatchObject({ user_id: user.id, tier: "free" });
});

/** Sessions whose order on disk is not the one in which they were last used. Answers the id of the one that is in the middle of both. */
async function threeSessions(userId: string): Promise<string> {
  const { superuser } = api.database;
  await superuser.query("delete from sessions where user_id = $1", [userId]);
  const ids = ["0", "8", "f"].map((first) => `${first}${randomUUID().slice(1)}`);
  for (const [minute, id] of ids.entries()) {
    await superuser.query(
      `insert into sessions (user_id, id, proof_hash, refresh_hash, rotated_at, address, user_agent, has_second_factor)
       values ($1, $2, sha256('proof'), sha256('refresh'), now() + $3 * interval '1 minute', '::1', '', true)`,
      [userId, id, minute],
    );
  }
  await superuser.query("cluster sessions using sessions_pkey");
  return ids[1] ?? "";
}

/** In the log-in whose id is the last. */
async function removeLastFactor(database: Queryable, userId: string): Promise<void> {
  const { rows } = await database.query<{ id: string }>(
    "select id from sessions where user_id = $1 order by id desc limit 1",
    [userId],
  );
  const requireStepUp = createStepUp({ pool: api.pool, stepUpSeconds: 600 });
  const { email } = user;
  const sessionId = rows[0]?.id ?? "";
  await noteRemoved({ mailer: undefined, requireStepUp }, database, {
    caller: { userId, email, tier: "free", sessionId },
    origin: { id: randomUUID(), ip: "::1" },
    factor: "totp",
  });
}

test.each<
  [
    what: string,
    role: "api" | "auth" | "admin" | "worker",
    change: (database: Queryable, userId: string) => Promise<void>,
  ]
>([
  ["logs out everywhere too", "api", (database, id) => endSessions(database, id, "logout")],
  ["changes the password", "auth", (database, id) => endSessions(database, id, "password")],
  ["removes the last second factor", "auth", removeLastFactor],
  ["has too many", "auth", (database, id) => makeRoom(database, id, { idleDays: 30, keep: 0 })],
  ["is disabled", "admin", (database, id) => endSessions(database, id, "disabled")],
  ["is erased", "worker", (database, id) => endSessions(database, id, "erased")],
])(
  "whoever logs out everywhere and %s at the same time hears of no deadlock",
  async (_, role, change) => {
    const { superuser, [`${role}Url` as const]: url } = api.database;
    const other = createPool({ url, connectionsMax: 1 });
    const middle = await threeSessions(user.id);
    await superuser.query("begin");
    await superuser.query("select from sessions where id = $1 for update", [middle]);
    const both = [
      asTenant(api.pool, { userId: user.id }, async (database) => {
        await database.query("set local enable_seqscan = off");
        await endSessions(database, user.id, "logout");
      }),
      asTenant(other, { userId: user.id }, async (database) => {
        await database.query("set local enable_indexscan = off");
        await database.query("set local enable_bitmapscan = off");
        await change(database, user.id);
      }),
    ];
    const ends = Promise.allSettled(both);
    await expect.poll(waiting, SOON).toBe(2);
    await superuser.query("commit");
    const failures = (await ends).filter((end) => end.status === "rejected");
    // Whose log-in is over when it is their turn hears so; nobody hears of a deadlock.
    expect(failures.filter(({ reason }) => !(reason instanceof ApiError))).toEqual([]);
    await other.end();
    const { rows } = await superuser.query(
      "select from sessions where user_id = $1 and ended_at is null",
      [user.id],
    );
    expect(rows).toEqual([]);
  },
);

/** How many wait for what somebody else holds. */
async function waiting(): Promise<number | undefined> {
  const { rows } = await api.database.superuser.query<{ count: number }>(
    "select count(*)::int as count from pg_locks where not granted",
  );
  return rows[0]?.count;
}
