import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import {
  APP_URL,
  caller,
  signUp,
  startApi,
  type Answer,
  type TestApi,
  type TestUser,
} from "./api.ts";
import { createAuthenticator } from "./authenticator.ts";
import * as secondFactor from "./second-factor.ts";

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

const { PASSWORD } = secondFactor;

const codeOf = ({ status, body }: Answer) => ({
  status,
  code: z.object({ code: z.string() }).parse(body).code,
});
const MFA_REQUIRED = { status: 401, code: "mfa_required" };
const CODE_INVALID = { status: 401, code: "code_invalid" };
const PASSKEY_INVALID = { status: 401, code: "passkey_invalid" };
const STEP_UP = { status: 403, code: "step_up_required" };

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);

const Recovery = z.object({ recoveryCodes: z.array(z.string()) });
const AccessToken = z.object({ accessToken: z.string() });
const Challenge = z.object({ state: z.string(), options: z.unknown() });

const post = (path: string, body: object) => caller(api)(`POST /api/auth/${path}`, { body });
const logIn = (proof: object = {}, password = PASSWORD) =>
  post("login", { email: user.email, password, ...proof });

async function sql(text: string): Promise<void> {
  await api.database.superuser.query(text, [user.id]);
}
/** As if the log-in, or the last proof, had been six minutes ago. */
const grow = () =>
  sql("update sessions set authenticated_at = now() - interval '6 minutes' where user_id = $1");
const currentCode = (stepsAhead = 0) => secondFactor.currentCode(api, user, stepsAhead);
const wrongCode = async () =>
  String((Number(await currentCode()) + 1) % 1_000_000).padStart(6, "0");
const enrolTotp = () => secondFactor.enrolTotp(api, user);

async function enrolPasskey(device = createAuthenticator({ origin: APP_URL })) {
  const { state, options } = Challenge.parse((await user.call("POST /api/passkeys/options")).body);
  const body = { state, credential: device.create(options), name: "Phone" };
  return { device, answer: await user.call("POST /api/passkeys", { body }) };
}

type Device = ReturnType<typeof createAuthenticator>;
async function answerOf(device: Device, use?: Parameters<Device["get"]>[1]) {
  const { state, options } = Challenge.parse((await post("passkey-challenge", {})).body);
  return { state, credential: device.get(options, use) };
}

const Made = z.looseObject({ madeAtMs: z.number() });

/** The challenge as it would be, had it been made so much earlier. */
function madeEarlier(state: string, byMs: number): string {
  const purpose = "passkey answer";
  const { madeAtMs, ...content } = Made.parse(
    JSON.parse(api.sealer.open(Buffer.from(state, "base64url"), purpose)),
  );
  const text = JSON.stringify({ ...content, madeAtMs: madeAtMs - byMs });
  return api.sealer.seal(text, purpose).toString("base64url");
}

describe("an authenticator app", () => {
  test("counts from its first code on; then the password alone lets nobody in", async () => {
    const offered = await user.call("POST /api/auth/mfa/totp");
    expect(offered).toMatchObject({
      status: 201,
      body: {
        secret: matching(/^[A-Z2-7]{32}$/),
        uri: matching(/^otpauth:\/\/totp\/Trading%20bots:person/),
      },
    });
    expect((await logIn()).status).toBe(200);
    const confirm = (code: string) =>
      user.call("POST /api/auth/mfa/totp/confirm", { body: { code } });
    expect(codeOf(await confirm(await wrongCode()))).toEqual(CODE_INVALID);
    const { recoveryCodes } = Recovery.parse((await confirm(await currentCode())).body);
    expect(new Set(recoveryCodes).size).toBe(10);

    const pending = await logIn();
    expect(codeOf(pending)).toEqual(MFA_REQUIRED);
    expect(pending.headers["set-cookie"]).toBeUndefined();
    expect(codeOf(await logIn({}, "wrong password")).code).toBe("invalid_credentials");
    expect((await user.call("GET /api/auth/mfa")).body).toEqual({
      totp: true,
      passkeys: 0,
      recoveryCodesLeft: 10,
    });
    expect(codeOf(await user.call("POST /api/auth/mfa/totp")).code).toBe("mfa_enrolled");
  });

  test("a code confirms nothing before a secret was offered", async () => {
    const answer = await user.call("POST /api/auth/mfa/totp/confirm", { body: { code: "123456" } });
    expect(codeOf(answer)).toEqual(CODE_INVALID);
  });

  test("nothing is enrolled that the audit cannot tell of", async () => {
    await user.call("POST /api/auth/mfa/totp");
    const { superuser } = api.database;
    await superuser.query("alter table audit add constraint closed check (false) not valid");
    const confirmed = await user.call("POST /api/auth/mfa/totp/confirm", {
      body: { code: await currentCode() },
    });
    await superuser.query("alter table audit drop constraint closed");
    expect(confirmed.status).toBe(500);
    const { body } = await user.call("GET /api/auth/mfa");
    expect(body).toEqual({ totp: false, passkeys: 0, recoveryCodesLeft: 0 });
    expect((await logIn()).status).toBe(200);
  });

  test("a code is taken once, also by two at once, and none before it", async () => {
    await enrolTotp();
    const code = await currentCode();
    const answers = await Promise.all([logIn({ code }), logIn({ code })]);
    expect(answers.map(({ status }) => String(status)).toSorted()).toEqual(["200", "401"]);
    expect(codeOf(await logIn({ code }))).toEqual(CODE_INVALID);
    expect(codeOf(await logIn({ code: await currentCode(-1) }))).toEqual(CODE_INVALID);
    expect((await logIn({ code: await currentCode(1) })).status).toBe(200);
  });

  test("a recovery code stands in for it once, however it is typed", async () => {
    const [first = "", second = ""] = await enrolTotp();
    expect((await logIn({ code: first })).status).toBe(200);
    expect(codeOf(await logIn({ code: first }))).toEqual(CODE_INVALID);
    expect((await logIn({ code: second.toLowerCase().replaceAll("-", " ") })).status).toBe(200);
    const renewed = await user.call("POST /api/auth/mfa/recovery-codes");
    const [fresh = ""] = Recovery.parse(renewed.body).recoveryCodes;
    expect((await logIn({ code: fresh })).status).toBe(200);
  });

  test("wrong codes make the next one wait, from wherever they come, whoever is right then", async () => {
    await enrolTotp();
    const wrong = await wrongCode();
    const guesses = await Promise.all(
      Array.from({ length: 9 }, (_, address) =>
        caller(api)("POST /api/auth/login", {
          body: { email: user.email, password: PASSWORD, code: wrong },
          headers: { "x-forwarded-for": `192.0.2.${address}` },
        }),
      ),
    );
    const codes = guesses.map((guess) => codeOf(guess).code);
    expect(codes.filter((code) => code === "code_invalid")).toHaveLength(5);
    expect(codes.filter((code) => code === "too_many_attempts")).toHaveLength(4);
    const locked = await logIn({ code: await currentCode() });
    expect(codeOf(locked)).toEqual({ status: 429, code: "too_many_attempts" });
    expect(Number(locked.headers["retry-after"])).toBeLessThanOrEqual(30);
    await sql(
      "update second_factors set failed_at = now() - interval '31 seconds' where user_id = $1",
    );
    expect((await logIn({ code: await currentCode() })).status).toBe(200);
  });

  test("the right password does not forgive wrong codes", async () => {
    await enrolTotp();
    for (let attempt = 0; attempt < 10; attempt++) {
      expect(codeOf(await logIn())).toEqual(MFA_REQUIRED);
      await sql("update second_factors set failures = 0 where user_id = $1");
      expect(codeOf(await logIn({ code: await wrongCode() }))).toEqual(CODE_INVALID);
    }
    expect(codeOf(await logIn()).code).toBe("too_many_attempts");
    expect(codeOf(await logIn({ code: await currentCode() })).code).toBe("too_many_attempts");
  });

  test("it is forgotten with its recovery codes, and the password is enough again", async () => {
    await enrolTotp();
    expect((await user.call("DELETE /api/auth/mfa/totp")).status).toBe(204);
    expect((await logIn()).status).toBe(200);
    expect((await user.call("GET /api/auth/mfa")).body).toMatchObject({ recoveryCodesLeft: 0 });
    expect(codeOf(await user.call("DELETE /api/auth/mfa/totp")).code).toBe("not_found");
  });

  test("a changed password needs a code too", async () => {
    await enrolTotp();
    expect(codeOf(await changePassword({}))).toEqual(MFA_REQUIRED);
    expect((await changePassword({ code: await currentCode() })).status).toBe(200);
  });

  test("neither secret nor codes stand in the database or in logs", async () => {
    const [recovery = ""] = await enrolTotp();
    const code = await currentCode();
    await logIn({ code });
    const { rows } = await api.database.superuser.query(
      "select f::text from second_factors f union all select r::text from recovery_codes r union all select a::text from audit a",
    );
    for (const place of [JSON.stringify(rows), api.logs.join("")]) {
      expect(place).not.toContain(recovery);
      expect(place).not.toContain(Buffer.from(recovery.replaceAll("-", "")).toString("hex"));
      expect(place).not.toContain(`"${code}"`);
    }
  });
});

describe("a passkey", () => {
  test("logs in alone, and is a second factor beside the password", async () => {
    const { device, answer } = await enrolPasskey();
    expect(answer).toMatchObject({ status: 201, body: { id: device.id, name: "Phone" } });
    expect(Recovery.parse(answer.body).recoveryCodes).toHaveLength(10);

    const login = await post("passkey-login", await answerOf(device));
    expect(login).toMatchObject({ status: 200, body: { user: { id: user.id } } });
    const { accessToken } = AccessToken.parse(login.body);
    expect((await caller(api, accessToken)("GET /api/me")).status).toBe(200);

    expect(codeOf(await logIn())).toEqual(MFA_REQUIRED);
    expect((await logIn({ passkey: await answerOf(device) })).status).toBe(200);
    expect((await user.call("GET /api/passkeys")).body).toMatchObject({
      items: [{ id: device.id, name: "Phone", lastUsedAt: matching(/^20.*Z$/) }],
    });
  });

  test("answers each challenge once, and none older than its last", async () => {
    const { device } = await enrolPasskey();
    const [older, newer] = [await answerOf(device), await answerOf(device)];
    expect((await post("passkey-login", newer)).status).toBe(200);
    expect(codeOf(await post("passkey-login", newer))).toEqual(PASSKEY_INVALID);
    expect(codeOf(await post("passkey-login", older))).toEqual(PASSKEY_INVALID);
  });

  test.for<[name: string, attempt: (device: Device) => Promise<Answer>]>([
    [
      "whose counter went back, as a copy's does",
      async (device) => {
        await post("passkey-login", await answerOf(device));
        device.rewind(1);
        return post("passkey-login", await answerOf(device));
      },
    ],
    [
      "that answers another challenge",
      async (device) => {
        const [one, two] = [await answerOf(device), await answerOf(device)];
        return post("passkey-login", { ...one, credential: two.credential });
      },
    ],
    [
      "that answers at another site",
      async (device) =>
        post(
          "passkey-login",
          await answerOf(device, { origin: "https://app.example.com.evil.example" }),
        ),
    ],
    [
      "that asked for no finger, face or PIN",
      async (device) =>
        post("passkey-login", await answerOf(device, { origin: APP_URL, verifiesUser: false })),
    ],
    [
      "with a challenge of five minutes ago",
      async (device) => {
        const { state, credential } = await answerOf(device);
        return post("passkey-login", { state: madeEarlier(state, 300_001), credential });
      },
    ],
    [
      "with a challenge that is not ours",
      async (device) =>
        post("passkey-login", { ...(await answerOf(device)), state: "A".repeat(100) }),
    ],
    [
      "that nobody registered",
      async () => {
        const stranger = createAuthenticator({ origin: APP_URL });
        stranger.create({
          challenge: "AAAA",
          rp: { id: "app.example.com" },
          user: { id: Buffer.from(user.id).toString("base64url") },
        });
        return post("passkey-login", await answerOf(stranger));
      },
    ],
  ])("%s is refused", async ([, attempt]) => {
    const { device } = await enrolPasskey();
    expect(codeOf(await attempt(device))).toEqual(PASSKEY_INVALID);
  });

  test.each([
    ["of another site", { origin: "https://app.example.com.evil.example" }],
    ["of a device that asked for no finger, face or PIN", { origin: APP_URL, verifiesUser: false }],
  ])("%s cannot be registered", async (_name, options) => {
    const { answer } = await enrolPasskey(createAuthenticator(options));
    expect(codeOf(answer)).toEqual(PASSKEY_INVALID);
  });

  test("is not made of what another user was offered", async () => {
    const { state, options } = Challenge.parse(
      (await user.call("POST /api/passkeys/options")).body,
    );
    const credential = createAuthenticator({ origin: APP_URL }).create(options);
    const stranger = await signUp(api, `person-${(people += 1)}`);
    const body = { state, credential, name: "Phone" };
    expect(codeOf(await stranger.call("POST /api/passkeys", { body }))).toEqual(PASSKEY_INVALID);
    expect((await user.call("POST /api/passkeys", { body })).status).toBe(201);
  });

  test("a challenge of less than five minutes ago is answered", async () => {
    const { device } = await enrolPasskey();
    const { state, credential } = await answerOf(device);
    const login = await post("passkey-login", { state: madeEarlier(state, 290_000), credential });
    expect(login.status).toBe(200);
  });

  test("of another user is no second factor, and cannot be registered twice", async () => {
    const { device } = await enrolPasskey();
    user = await signUp(api, `person-${(people += 1)}`);
    await enrolTotp();
    expect(codeOf(await logIn({ passkey: await answerOf(device) }))).toEqual(PASSKEY_INVALID);
    expect(codeOf((await enrolPasskey(device)).answer)).toEqual(PASSKEY_INVALID);
  });

  test("that is forgotten lets nobody in, however long its name", async () => {
    const { device } = await enrolPasskey(createAuthenticator({ origin: APP_URL, idBytes: 1_023 }));
    expect((await user.call(`DELETE /api/passkeys/${device.id}`)).status).toBe(204);
    expect(codeOf(await post("passkey-login", await answerOf(device)))).toEqual(PASSKEY_INVALID);
    expect((await logIn()).status).toBe(200);
  });
});

const KEY = { apiKey: "key-000111", apiSecret: "secret-222333" };
const account = (testnet = true) => ({
  exchange: "bybit",
  name: "Main",
  testnet,
  credentials: KEY,
});
const BOT = {
  displayName: "Robot",
  symbols: ["BTC/USDT:USDT"],
  strategy: { name: "rsi", params: {} },
};
/** What a browser would send of a passkey; nobody looks at it here. */
const MADE = {
  state: "AAAA",
  name: "Phone",
  credential: {
    id: "AAAA",
    rawId: "AAAA",
    type: "public-key",
    response: { clientDataJSON: "AAAA", attestationObject: "AAAA" },
  },
};
const stepUp = (body: object) => user.call("POST /api/auth/step-up", { body });
const changePassword = (proof: object) =>
  user.call("POST /api/auth/password", {
    body: { currentPassword: PASSWORD, newPassword: "another long one", ...proof },
  });
const WithId = z.object({ id: z.string() });

async function liveAccount(): Promise<string> {
  return WithId.parse((await user.call("POST /api/accounts", { body: account(false) })).body).id;
}

const WAITING_FOR_LOCK = "select from pg_locks where locktype = 'advisory' and not granted";

/** Whether each session of the user has shown a second factor. */
async function shownFactors(): Promise<readonly boolean[]> {
  const { rows } = await api.database.superuser.query<{ has_second_factor: boolean }>(
    "select has_second_factor from sessions where user_id = $1 order by created_at",
    [user.id],
  );
  return rows.map((row) => row.has_second_factor);
}

describe("stepping up", () => {
  test.for<[name: string, request: Parameters<TestUser["call"]>[0], body?: object]>([
    ["connecting an account", "POST /api/accounts", account()],
    ["a new key", "PUT /api/accounts/acct-x/credentials", KEY],
    ["enrolling an app", "POST /api/auth/mfa/totp"],
    ["its first code", "POST /api/auth/mfa/totp/confirm", { code: "000000" }],
    ["removing it", "DELETE /api/auth/mfa/totp"],
    ["new recovery codes", "POST /api/auth/mfa/recovery-codes"],
    ["registering a passkey", "POST /api/passkeys/options"],
    ["the one that was made", "POST /api/passkeys", MADE],
    ["removing one", "DELETE /api/passkeys/x"],
    ["an API token", "POST /api/tokens", { name: "Script", scopes: ["read"] }],
    ["an export", "POST /api/personal-data/export"],
    ["a file of one", `GET /api/personal-data/${randomUUID()}/files/profile.json`],
    ["being forgotten", "POST /api/personal-data/erasure"],
  ])("is needed for %s, five minutes after the log-in", async ([, request, body]) => {
    await grow();
    const answer = await user.call(request, body === undefined ? {} : { body });
    expect(codeOf(answer)).toEqual(STEP_UP);
  });

  test("is needed for going live and for higher limits there, and for nothing less", async () => {
    const accountId = await liveAccount();
    const wanted = { ...BOT, accountId, mode: "live", risk: { positionPercent: 3 } };
    const create = () => user.call("POST /api/bots", { body: wanted });
    await grow();
    expect(codeOf(await create())).toEqual(STEP_UP);
    const config = { symbol: "BTC/USDT:USDT", leverage: 5 };
    expect(codeOf(await user.call("PUT /api/robot/config", { body: config }))).toEqual(STEP_UP);
    await stepUp({ password: PASSWORD });
    const { id } = WithId.parse((await create()).body);
    await grow();
    const patch = (body: object) => user.call(`PATCH /api/bots/${id}`, { body });
    expect(codeOf(await patch({ risk: { positionPercent: 4 } }))).toEqual(STEP_UP);
    expect((await patch({ risk: { positionPercent: 2 } })).status).toBe(200);
    expect((await patch({ displayName: "Renamed" })).status).toBe(200);
    expect((await user.call(`POST /api/bots/${id}/stop`)).status).toBe(202);
    const paper = { ...BOT, exchange: "bybit", mode: "paper" };
    const made = WithId.parse((await user.call("POST /api/bots", { body: paper })).body);
    const bound = { accountId, mode: "live" };
    expect(codeOf(await user.call(`PATCH /api/bots/${made.id}`, { body: bound }))).toEqual(STEP_UP);
  });

  test("takes the password where there is no second factor; this session alone is fresh", async () => {
    const other = AccessToken.parse((await logIn()).body).accessToken;
    await grow();
    expect(codeOf(await stepUp({ password: "wrong password" })).code).toBe("invalid_credentials");
    expect(await stepUp({ password: PASSWORD })).toMatchObject({
      status: 200,
      body: { expiresIn: 300 },
    });
    expect((await user.call("POST /api/accounts", { body: account() })).status).toBe(201);
    const elsewhere = await caller(api, other)("POST /api/accounts", { body: account() });
    expect(codeOf(elsewhere)).toEqual(STEP_UP);
  });

  test("takes the second factor too where there is one, or a passkey alone", async () => {
    await enrolTotp();
    const { device } = await enrolPasskey();
    await stepUp({ password: PASSWORD, passkey: await answerOf(device) });
    await grow();
    expect(codeOf(await stepUp({ password: PASSWORD }))).toEqual(MFA_REQUIRED);
    expect(codeOf(await stepUp({})).code).toBe("validation_failed");
    expect((await stepUp({ password: PASSWORD, code: await currentCode() })).status).toBe(200);
    await grow();
    expect((await stepUp({ passkey: await answerOf(device) })).status).toBe(200);
    expect((await user.call("DELETE /api/auth/mfa/totp")).status).toBe(204);
  });

  test("a passkey is no second factor before it was shown with the password, in whatever log-in", async () => {
    const { device } = await enrolPasskey();
    await grow();
    expect(codeOf(await stepUp({ passkey: await answerOf(device) }))).toEqual(STEP_UP);
    const another = await post("passkey-login", await answerOf(device));
    const call = caller(api, AccessToken.parse(another.body).accessToken);
    const body = { passkey: await answerOf(device) };
    expect(codeOf(await call("POST /api/auth/step-up", { body }))).toEqual(STEP_UP);
    const token = { body: { name: "Script", scopes: ["read"] } };
    expect(codeOf(await call("POST /api/tokens", token))).toEqual(STEP_UP);
    expect(codeOf(await user.call("POST /api/tokens", token))).toEqual(STEP_UP);
    expect(await shownFactors()).toEqual([false, false]);
    expect((await stepUp({ password: PASSWORD, passkey: await answerOf(device) })).status).toBe(
      200,
    );
    const vouched = await post("passkey-login", await answerOf(device));
    expect(await shownFactors()).toEqual([true, false, true]);
    const { accessToken } = AccessToken.parse(vouched.body);
    expect((await caller(api, accessToken)("POST /api/tokens", token)).status).toBe(201);
  });

  test.for<[name: string, prepare: () => Promise<() => Promise<Answer>>]>([
    [
      "an API token",
      async () => () =>
        user.call("POST /api/tokens", { body: { name: "Script", scopes: ["read"] } }),
    ],
    [
      "a passkey",
      async () => {
        const { state, options } = Challenge.parse(
          (await user.call("POST /api/passkeys/options")).body,
        );
        const credential = createAuthenticator({ origin: APP_URL }).create(options);
        const body = { state, credential, name: "Phone" };
        return () => user.call("POST /api/passkeys", { body });
      },
    ],
  ])("%s that was asked for before all log-ins ended is not made after it", async ([, prepare]) => {
    const ask = await prepare();
    const { superuser } = api.database;
    await superuser.query("begin");
    await superuser.query("select pg_advisory_xact_lock(hashtextextended($1, 0))", [user.id]);
    const asked = ask();
    await expect
      .poll(async () => (await superuser.query(WAITING_FOR_LOCK)).rowCount, { timeout: 10_000 })
      .toBe(1);
    await sql("update sessions set ended_at = now(), end_reason = 'password' where user_id = $1");
    await superuser.query("commit");
    expect(codeOf(await asked)).toEqual(STEP_UP);
  });

  test("is counted like a log-in when it fails", async () => {
    for (let attempt = 0; attempt < 10; attempt++) await stepUp({ password: "wrong password" });
    expect(codeOf(await stepUp({ password: PASSWORD })).code).toBe("too_many_attempts");
  });
});

const MadeToken = z.object({ id: z.string(), token: z.string() });
async function makeToken(...scopes: string[]) {
  const made = await user.call("POST /api/tokens", { body: { name: "Script", scopes } });
  expect(made.status).toBe(201);
  const { id, token } = MadeToken.parse(made.body);
  return { id, token, call: caller(api, token) };
}
const SCOPE_MISSING = { status: 403, code: "scope_missing" };
const UNAUTHENTICATED = { status: 401, code: "unauthenticated" };

describe("an API token", () => {
  test("does what its scopes say", async () => {
    const [reading, trading] = [await makeToken("read"), await makeToken("read", "trade")];
    expect((await reading.call("GET /api/me")).status).toBe(200);
    const paper = { ...BOT, exchange: "bybit", mode: "paper" };
    expect(codeOf(await reading.call("POST /api/bots", { body: paper }))).toEqual(SCOPE_MISSING);
    expect((await trading.call("POST /api/bots", { body: paper })).status).toBe(201);
    const retire = await trading.call("DELETE /api/accounts/acct-x");
    expect(codeOf(retire)).toEqual(SCOPE_MISSING);
  });

  test("can neither step up nor go live, however fresh its user is", async () => {
    const accountId = await liveAccount();
    const { call } = await makeToken("read", "trade", "accounts");
    const live = { ...BOT, accountId, mode: "live" };
    expect(codeOf(await call("POST /api/bots", { body: live }))).toEqual(STEP_UP);
    const tries = await call("POST /api/auth/step-up", { body: { password: PASSWORD } });
    expect(codeOf(tries)).toEqual({ status: 403, code: "token_refused" });
  });

  test("is over within a second of its revocation, and for its owner alone to revoke", async () => {
    const { id, call } = await makeToken("read");
    expect((await call("GET /api/me")).status).toBe(200);
    const stranger = await signUp(api, `person-${(people += 1)}`);
    expect(codeOf(await stranger.call(`DELETE /api/tokens/${id}`)).code).toBe("not_found");
    expect((await user.call(`DELETE /api/tokens/${id}`)).status).toBe(204);
    await expect
      .poll(() => call("GET /api/me").then(codeOf, () => 200), { timeout: 10_000 })
      .toEqual(UNAUTHENTICATED);
    expect((await user.call("GET /api/tokens")).body).toEqual({ items: [] });
  });

  test("is listed with its last use, and without itself", async () => {
    const { id, token, call } = await makeToken("read");
    await call("GET /api/me");
    const { body } = await user.call("GET /api/tokens");
    expect(body).toMatchObject({
      items: [{ id, scopes: ["read"], lastUsedAt: matching(/^20.*Z$/) }],
    });
    const { rows } = await api.database.superuser.query("select t::text from api_tokens t");
    for (const place of [JSON.stringify(body), JSON.stringify(rows), api.logs.join("")]) {
      expect(place).not.toContain(token);
    }
  });

  test.each([
    ["too old", "update api_tokens set expires_at = now() where user_id = $1"],
    ["revoked", "update api_tokens set ended_at = now() where user_id = $1"],
  ])("that is %s lets nobody in", async (_name, change) => {
    const { call } = await makeToken("read");
    await sql(change);
    expect(codeOf(await call("GET /api/me"))).toEqual(UNAUTHENTICATED);
  });

  test.each(["tbt_", `tbt_${"A".repeat(43)}`, `tbt_${"A".repeat(2_000)}`])(
    "that nobody made lets nobody in: %s",
    async (token) => {
      expect(codeOf(await caller(api, token)("GET /api/me"))).toEqual(UNAUTHENTICATED);
    },
  );

  test("there are twenty at most", async () => {
    for (let count = 0; count < 20; count++) await makeToken("read");
    const more = await user.call("POST /api/tokens", { body: { name: "More", scopes: ["read"] } });
    expect(codeOf(more)).toEqual({ status: 422, code: "too_many_tokens" });
  });
});

test.each([
  ["forgot", "person-1@example.com"],
  ["forgot", "nobody@example.com"],
])("without a way for mails to leave, %s of %s says so", async (path, email) => {
  expect(codeOf(await post(path, { email }))).toEqual({ status: 409, code: "mail_unavailable" });
});
