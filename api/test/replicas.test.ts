import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { z } from "zod";
import { caller, signUp, startApi, type TestApi, type TestUser } from "./api.ts";
import { PASSWORD, signUpAdministrator } from "./second-factor.ts";

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
