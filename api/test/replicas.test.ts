import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { z } from "zod";
import { type Answer, caller, signUp, startApi, type TestApi, type TestUser } from "./api.ts";
import {
  currentCode,
  enrolTotp,
  forgetStep,
  PASSWORD,
  signUpAdministrator,
} from "./second-factor.ts";

/** Two processes of one installation: what one of them is told counts at the other. */

let one: TestApi;
let other: Awaited<ReturnType<TestApi["startReplica"]>>;
let admin: TestUser;
let people = 0;

beforeAll(async () => {
  one = await startApi();
  other = await one.startReplica();
  admin = await signUpAdministrator(one, "admin", "admin");
});
afterAll(async () => {
  await other.close();
  await one.stop();
});

/** As issue and documents promise it, from the answer of the process that was told. */
const EFFECTIVE_WITHIN_MS = 1_000;

async function apiToken(user: TestUser) {
  const { body } = await user.call("POST /api/tokens", {
    body: { name: "Script", scopes: ["read"] },
  });
  return z.object({ id: z.string(), token: z.string() }).parse(body);
}

interface Case {
  readonly name: string;
  /** Token that is used at the other process; the log-in's unless told otherwise. */
  readonly made?: (user: TestUser) => Promise<{ readonly id: string; readonly token: string }>;
  readonly end: (user: TestUser, made: string) => Promise<{ readonly status: number }>;
}

const CASES: readonly Case[] = [
  { name: "a log-out from all devices", end: (user) => user.call("DELETE /api/sessions") },
  {
    name: "a changed password",
    end: (user) =>
      user.call("POST /api/auth/password", {
        body: { currentPassword: PASSWORD, newPassword: "another long one" },
      }),
  },
  {
    name: "an operator who logs the user out",
    end: ({ id }) => admin.call(`POST /api/admin/users/${id}/log-out`),
  },
  {
    name: "an operator who disables the user",
    end: ({ id }) => admin.call(`POST /api/admin/users/${id}/disable`),
  },
  {
    name: "an API token that is revoked",
    made: apiToken,
    end: (user, id) => user.call(`DELETE /api/tokens/${id}`),
  },
  {
    name: "an API token whose user is disabled",
    made: apiToken,
    end: ({ id }) => admin.call(`POST /api/admin/users/${id}/disable`),
  },
];

test.each(CASES)("$name counts at the other process within a second", async ({ made, end }) => {
  const user = await signUp(one, `person-${(people += 1)}`);
  const { id, token } = (await made?.(user)) ?? { id: "", token: user.accessToken };
  const statusThere = async () => (await caller(other, token)("GET /api/me")).status;
  expect(await statusThere()).toBe(200); // from now on it knows the token
  expect((await end(user, id)).status).toBeLessThan(300);
  await vi.waitUntil(async () => (await statusThere()) === 401, {
    timeout: EFFECTIVE_WITHIN_MS,
    interval: 20,
  });
});

test("a tier that an admin changes counts at the other process within a second", async () => {
  const user = await signUp(one, "customer");
  const policyThere = async () => {
    const { headers } = await caller(other, user.accessToken)("GET /api/me");
    return String(headers["ratelimit-policy"]);
  };
  expect(await policyThere()).toMatch(/^"free"/);
  const { status } = await admin.call(`PATCH /api/admin/users/${user.id}`, {
    body: { tier: "pro" },
  });
  expect(status).toBe(200);
  await vi.waitUntil(async () => (await policyThere()).startsWith('"pro"'), {
    timeout: EFFECTIVE_WITHIN_MS,
    interval: 20,
  });
});

/** So often, because two requests that are sent together may all the same come one after the other. */
const RACES = 5;

interface Race {
  readonly what: string;
  /** What both processes are asked at the same moment, anew for each race. */
  readonly codes: (user: TestUser, recovery: readonly string[]) => Promise<readonly string[]>;
}

test.each<Race>([
  {
    what: "the app shows",
    codes: async (user) => Array.from<string>({ length: RACES }).fill(await currentCode(one, user)),
  },
  { what: "stands in for it", codes: async (_, recovery) => recovery.slice(0, RACES) },
])("a code that $what lets one in, when two processes are shown it at once", async ({ codes }) => {
  const user = await signUp(one, `person-${(people += 1)}`);
  const { email } = user;
  for (const code of await codes(user, await enrolTotp(one, user))) {
    await forgetStep(one, user);
    const body = { email, password: PASSWORD, code };
    const answers = await Promise.all(
      [one, other].map((process) => caller(process)("POST /api/auth/login", { body })),
    );
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 401]);
  }
});

const refresh = (process: Parameters<typeof caller>[0], cookie: string) =>
  caller(process)("POST /api/auth/refresh", { headers: { cookie } });

test("a refresh token gives both processes the same successor, and a used one ends the session at both", async () => {
  const user = await signUp(one, `person-${(people += 1)}`);
  const body = { email: user.email, password: PASSWORD };
  const first = cookieOf(await caller(one)("POST /api/auth/login", { body }));
  let last = first;
  for (let race = 0; race < RACES; race += 1) {
    const answers = await Promise.all([one, other].map((process) => refresh(process, last)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    const successors = new Set(answers.map(cookieOf));
    expect(successors.size).toBe(1);
    [last = ""] = successors;
  }
  expect((await refresh(other, first)).status).toBe(401); // stolen
  expect((await refresh(one, last)).status).toBe(401);
});

/** The refresh token's. */
function cookieOf({ headers }: Pick<Answer, "headers">): string {
  const set = z.union([z.string(), z.array(z.string())]).parse(headers["set-cookie"]);
  return (
    [set]
      .flat()
      .find((cookie) => /refresh/.test(cookie))
      ?.split(";")[0] ?? ""
  );
}
