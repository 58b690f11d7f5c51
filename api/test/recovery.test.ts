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
import { type MailSink, startMailSink } from "./mail-sink.ts";
import { currentCode, enrolTotp, PASSWORD } from "./second-factor.ts";

let sink: MailSink;
let api: TestApi;
let user: TestUser;
let people = 0;

beforeAll(async () => {
  sink = await startMailSink();
  api = await startApi({ smtpUrl: sink.url });
});
afterAll(async () => {
  await api.stop();
  await sink.stop();
});
beforeEach(async () => {
  user = await signUp(api, `person-${(people += 1)}`);
});

const NEW_PASSWORD = "another long one";
const CONFIRM = "Confirm your e-mail address";
const RESET = "Choose a new password";

const codeOf = ({ status, body }: Answer) => ({
  status,
  code: z.object({ code: z.string() }).parse(body).code,
});
const WRONG_CODES = "Subject: Somebody has shown your password and several wrong codes";
const LINK_INVALID = { status: 422, code: "link_invalid" };
const post = (path: string, body: object) => caller(api)(`POST /api/auth/${path}`, { body });
const isVerified = async () =>
  z.object({ emailVerified: z.boolean() }).parse((await user.call("GET /api/me")).body)
    .emailVerified;

/** As if the last mail had been asked for long ago. */
const later = (minutes: number) =>
  api.database.superuser.query(
    `update email_tokens set created_at = created_at - make_interval(mins => $2),
                             expires_at = expires_at - make_interval(mins => $2)
      where user_id = $1`,
    [user.id, minutes],
  );

const CONFIRMED = { status: 204, code: undefined };
const CODE_INVALID = { status: 401, code: "code_invalid" };

async function confirm(code: string) {
  const { status, body } = await user.call("POST /api/auth/verification-code", { body: { code } });
  return { status, code: z.object({ code: z.string() }).safeParse(body).data?.code };
}

/** The code in the newest letter to somebody. */
async function mailedCode(whose: TestUser | Promise<TestUser> = user): Promise<string> {
  const { source } = await sink.mailTo((await whose).email, CONFIRM);
  return /within ten minutes: (\d{6})$/m.exec(source)?.[1] ?? "";
}

/** As if the last code had been mailed more than a day ago. */
const codeIsOld = () =>
  api.database.superuser.query(
    "update email_tokens set code_expires_at = code_expires_at - interval '25 hours' where user_id = $1",
    [user.id],
  );

async function resetToken(): Promise<string> {
  expect((await post("forgot", { email: user.email })).status).toBe(202);
  return sink.tokenTo(user.email, RESET);
}

describe("an address", () => {
  test("is confirmed by the link that came after signing up, once", async () => {
    expect(await isVerified()).toBe(false);
    const token = await sink.tokenTo(user.email, CONFIRM);
    expect((await post("verify-email", { token })).status).toBe(204);
    expect(await isVerified()).toBe(true);
    expect(codeOf(await post("verify-email", { token }))).toEqual(LINK_INVALID);
  });

  test.each([
    ["words", () => "no token"],
    ["another user's id", (token: string) => token.replace(/^[^.]+/, crypto.randomUUID())],
    ["a guess", (token: string) => `${token.split(".", 1)[0]}.${"A".repeat(43)}`],
  ])("is not confirmed by %s", async (_name, spoil) => {
    const token = spoil(await sink.tokenTo(user.email, CONFIRM));
    expect(codeOf(await post("verify-email", { token }))).toEqual(LINK_INVALID);
    expect(await isVerified()).toBe(false);
  });

  test("is not confirmed after three days, nor by the link for a new password", async () => {
    const token = await sink.tokenTo(user.email, CONFIRM);
    await later(3 * 1_440);
    expect(codeOf(await post("verify-email", { token }))).toEqual(LINK_INVALID);
    expect(codeOf(await post("verify-email", { token: await resetToken() }))).toEqual(LINK_INVALID);
  });

  test("gets another link after five minutes, and the first one is over", async () => {
    const first = await sink.tokenTo(user.email, CONFIRM);
    const ask = () => user.call("POST /api/auth/verification-mail");
    expect((await ask()).status).toBe(202);
    await later(6);
    expect((await ask()).status).toBe(202);
    const linksSent = () => sink.mails.filter(({ to }) => to === user.email).length;
    await expect.poll(linksSent, { timeout: 10_000 }).toBe(2);
    const second = await sink.tokenTo(user.email, CONFIRM);
    expect(codeOf(await post("verify-email", { token: first }))).toEqual(LINK_INVALID);
    expect((await post("verify-email", { token: second })).status).toBe(204);
    expect((await ask()).status).toBe(202); // and nothing is sent: it is confirmed
  });

  test("is confirmed by the code in the letter, once, and the link is used up with it", async () => {
    const code = await mailedCode();
    expect(await confirm(code)).toEqual(CONFIRMED);
    expect(await isVerified()).toBe(true);
    expect(await confirm(code)).toEqual(CODE_INVALID);
    const token = await sink.tokenTo(user.email, CONFIRM);
    expect(codeOf(await post("verify-email", { token }))).toEqual(LINK_INVALID);
  });

  test.each([
    ["another user's code", () => mailedCode(signUp(api, `other-${(people += 1)}`))],
    ["its own code after ten minutes", async () => (await codeIsOld(), mailedCode())],
  ])("is not confirmed by %s", async (_name, codeToShow) => {
    expect(await confirm(await codeToShow())).toEqual(CODE_INVALID);
    expect(await isVerified()).toBe(false);
  });

  test("has five tries at its code a day, however many letters come, and its link all the time", async () => {
    const wrong = async () => ((await mailedCode()) === "000000" ? "000001" : "000000");
    for (let tries = 0; tries < 5; tries += 1)
      expect(await confirm(await wrong())).toEqual(CODE_INVALID);
    expect(await confirm(await mailedCode())).toEqual(CODE_INVALID);
    await later(6);
    const first = await sink.tokenTo(user.email, CONFIRM);
    await user.call("POST /api/auth/verification-mail");
    await expect.poll(() => sink.tokenTo(user.email, CONFIRM), { timeout: 10_000 }).not.toBe(first);
    expect(await confirm(await mailedCode())).toEqual(CODE_INVALID);
    await later(6);
    await codeIsOld();
    const second = await sink.tokenTo(user.email, CONFIRM);
    await user.call("POST /api/auth/verification-mail");
    await expect
      .poll(() => sink.tokenTo(user.email, CONFIRM), { timeout: 10_000 })
      .not.toBe(second);
    expect(await confirm(await mailedCode())).toEqual(CONFIRMED);
  });

  test("must be confirmed before real money is at stake", async () => {
    const credentials = { apiKey: "key-000111", apiSecret: "secret-222333" };
    const connect = (testnet: boolean) =>
      user.call("POST /api/accounts", {
        body: { exchange: "bybit", name: "Main", testnet, credentials },
      });
    expect((await connect(true)).status).toBe(201);
    expect(codeOf(await connect(false))).toEqual({ status: 403, code: "email_unverified" });
    await post("verify-email", { token: await sink.tokenTo(user.email, CONFIRM) });
    expect((await connect(false)).status).toBe(201);
  });
});

test("nobody has pods before their address is confirmed", async () => {
  const bot = {
    displayName: "Robot",
    exchange: "bybit",
    mode: "paper",
    symbols: ["BTC/USDT:USDT"],
    strategy: { name: "rsi", params: {} },
  };
  const create = (state: string) => user.call("POST /api/bots", { body: { ...bot, state } });
  const stopped = await create("Stopped");
  const { id } = z.object({ id: z.string() }).parse(stopped.body);
  const start = () => user.call(`POST /api/bots/${id}/start`);
  const REFUSED = { status: 403, code: "email_unverified" };
  expect(codeOf(await create("Running"))).toEqual(REFUSED);
  expect(codeOf(await start())).toEqual(REFUSED);
  await post("verify-email", { token: await sink.tokenTo(user.email, CONFIRM) });
  expect((await create("Running")).status).toBe(201);
  expect((await start()).status).toBe(202);
});

const shape = ({ status, body, headers }: Answer) => ({
  status,
  body,
  headers: Object.keys(headers),
});
const logIn = (password: string) => post("login", { email: user.email, password });

test("whose password somebody has, and not the second factor, hears of it once", async () => {
  await post("verify-email", { token: await sink.tokenTo(user.email, CONFIRM) });
  await enrolTotp(api, user);
  const wrong = String((Number(await currentCode(api, user)) + 1) % 1_000_000).padStart(6, "0");
  const guess = () => post("login", { email: user.email, password: PASSWORD, code: wrong });
  for (let attempt = 0; attempt < 4; attempt++) await guess();
  expect(sink.mails.filter(({ source }) => source.includes(WRONG_CODES))).toEqual([]);
  for (let attempt = 0; attempt < 3; attempt++) await guess();
  await sink.mailTo(user.email, WRONG_CODES);
  expect(sink.mails.filter(({ source }) => source.includes(WRONG_CODES))).toHaveLength(1);
});

describe("a forgotten password", () => {
  test("is replaced by whoever reads the mail; every device is out, the address confirmed", async () => {
    const token = await resetToken();
    const made = await user.call("POST /api/tokens", {
      body: { name: "Script", scopes: ["read"] },
    });
    const script = caller(api, z.object({ token: z.string() }).parse(made.body).token);
    expect((await script("GET /api/me")).status).toBe(200);
    const reset = await post("reset", { token, newPassword: NEW_PASSWORD });
    expect(reset.status).toBe(204);
    // Strangers who guess do not keep its reader out: from here guesses count by themselves.
    expect(String(reset.headers["set-cookie"])).toMatch(
      /^__Host-tradingbots-device=[^;]+; Max-Age/,
    );
    expect((await logIn(PASSWORD)).status).toBe(401);
    expect((await logIn(NEW_PASSWORD)).status).toBe(200);
    await expect
      .poll(async () => (await user.call("GET /api/me")).status, { timeout: 10_000 })
      .toBe(401);
    expect((await script("GET /api/me")).status).toBe(401);
    await sink.mailTo(user.email, "The password of your account was changed");
    const { rows } = await api.database.superuser.query(
      "select 1 from users where id = $1 and email_verified_at is not null",
      [user.id],
    );
    expect(rows).toHaveLength(1);
    expect(codeOf(await post("reset", { token, newPassword: PASSWORD }))).toEqual(LINK_INVALID);
  });

  test("a password that is refused does not use the link up; half an hour does", async () => {
    const token = await resetToken();
    const weak = await post("reset", { token, newPassword: "short" });
    expect(codeOf(weak)).toEqual({ status: 422, code: "weak_password" });
    await later(30);
    const late = await post("reset", { token, newPassword: NEW_PASSWORD });
    expect(codeOf(late)).toEqual(LINK_INVALID);
    expect((await logIn(PASSWORD)).status).toBe(200);
  });

  test("the same link at once changes the password once", async () => {
    const token = await resetToken();
    const answers = await Promise.all(
      [NEW_PASSWORD, "yet another one"].map((newPassword) => post("reset", { token, newPassword })),
    );
    expect(answers.map(({ status }) => String(status)).toSorted()).toEqual(["204", "422"]);
  });

  test("one mail in five minutes, however often and by whomever it is asked for", async () => {
    for (let count = 0; count < 5; count++) await resetToken();
    const resets = sink.mails.filter(
      ({ to, source }) => to === user.email && source.includes(RESET),
    );
    expect(resets).toHaveLength(1);
  });

  test("an unknown address gets the same answer, before anything is looked up, and no mail", async () => {
    const known = await post("forgot", { email: user.email });
    const unknown = await post("forgot", { email: "nobody@example.com" });
    expect(shape(unknown)).toEqual(shape(known));
    await sink.mailTo(user.email, RESET);
    expect(sink.mails.filter(({ to }) => to.startsWith("nobody"))).toEqual([]);
  });

  test("the answer does not wait for the database", async () => {
    const blocker = await api.authPool.connect();
    const other = await api.authPool.connect(); // the pool has two: whoever wants one waits
    expect((await post("forgot", { email: user.email })).status).toBe(202);
    blocker.release();
    other.release();
    await sink.mailTo(user.email, RESET);
  });
});

test.each([
  ["go when the mailbox was nobody's before: they may be a stranger's", false, 200],
  ["stay when it was theirs", true, 401],
])("with a forgotten password second factors %s", async (_name, wasTheirs, status) => {
  if (wasTheirs) await post("verify-email", { token: await sink.tokenTo(user.email, CONFIRM) });
  await api.database.superuser.query(
    "insert into second_factors (user_id, totp_sealed, totp_confirmed_at) values ($1, '', now())",
    [user.id],
  );
  await post("reset", { token: await resetToken(), newPassword: NEW_PASSWORD });
  expect((await logIn(NEW_PASSWORD)).status).toBe(status);
});

/** Resolves when so many statements wait for somebody's lock. */
async function waitingForLocks(count: number): Promise<void> {
  const { superuser } = api.database;
  await expect
    .poll(async () => (await superuser.query("select from pg_locks where not granted")).rowCount, {
      timeout: 10_000,
    })
    .toBe(count);
}

test("a passkey that is under way goes with the others", async () => {
  const { state, options } = z
    .object({ state: z.string(), options: z.unknown() })
    .parse((await user.call("POST /api/passkeys/options")).body);
  const credential = createAuthenticator({ origin: APP_URL }).create(options);
  const token = await resetToken();
  const { superuser } = api.database;
  await superuser.query("begin; lock table recovery_codes in share mode");
  const adding = user.call("POST /api/passkeys", { body: { state, credential, name: "Phone" } });
  await waitingForLocks(1); // it is inserted, and not committed
  const resetting = post("reset", { token, newPassword: NEW_PASSWORD });
  await waitingForLocks(2);
  await superuser.query("commit");
  expect((await adding).status).toBe(201);
  expect((await resetting).status).toBe(204);
  const left = "select from passkeys where user_id = $1";
  expect((await superuser.query(left, [user.id])).rowCount).toBe(0);
});

test("an address that nobody confirmed is told of no changes: it may be a stranger's", async () => {
  const body = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD };
  await sink.tokenTo(user.email, CONFIRM);
  expect((await user.call("POST /api/auth/password", { body })).status).toBe(200);
  const { rows } = await api.database.superuser.query("select 1 from mails where user_id = $1", [
    user.id,
  ]);
  expect(rows).toEqual([]);
});

test("a changed password is told to its owner, and audited without their address", async () => {
  const body = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD };
  await post("verify-email", { token: await sink.tokenTo(user.email, CONFIRM) });
  const token = await resetToken();
  expect((await user.call("POST /api/auth/password", { body })).status).toBe(200);
  expect(codeOf(await post("reset", { token, newPassword: PASSWORD }))).toEqual(LINK_INVALID);
  await sink.mailTo(user.email, "The password of your account was changed");
  const { rows } = await api.database.superuser.query<{ action: string; row: string }>(
    "select action, a::text as row from audit a where user_id = $1 and action !~ '^[A-Z]+ /' order by at",
    [user.id],
  );
  const actions = [
    "user.register",
    "session.begin",
    "email.verify",
    "password.forgot",
    "password.change",
    "session.begin",
  ];
  expect(rows.map(({ action }) => action)).toEqual(actions);
  expect(JSON.stringify(rows)).not.toContain(user.email);
});

test("no link, and no address, stands in logs or the database", async () => {
  const token = await resetToken();
  await post("reset", { token, newPassword: NEW_PASSWORD });
  const logs = api.logs.join("");
  const secret = token.split(".")[1] ?? "";
  expect(logs).not.toContain(secret);
  expect(logs).not.toContain(user.email);
  const { rows } = await api.database.superuser.query(
    "select t::text from email_tokens t union all select m::text from mails m",
  );
  expect(JSON.stringify(rows)).not.toContain(Buffer.from(secret, "base64url").toString("hex"));
});
