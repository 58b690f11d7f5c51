import { expect, test } from "vitest";
import {
  condition,
  exampleAccount,
  exampleBot,
  exampleClass,
  exampleFacts,
  examplePod,
  NOW,
  VERIFICATION,
} from "../bot/example-facts.ts";
import { conditionOf } from "../conditions.ts";
import type { PodView } from "../pod-view.ts";
import { type AccountView, exchangeIdentity } from "./account-view.ts";
import type { AccountFacts } from "./facts.ts";
import { planAccount } from "./plan.ts";
import { accountStatus } from "./status.ts";

const unverified = exampleAccount({}, {});
const retired: AccountView = exampleAccount({ state: "Retired" });

function factsOf(changes: Partial<AccountFacts> = {}): AccountFacts {
  return {
    account: unverified,
    hasServiceAccount: true,
    botCount: 0,
    verifyPods: [],
    verifyClass: exampleClass,
    twin: undefined,
    key: { kind: "present", version: 1 },
    now: NOW,
    ...changes,
  };
}

function podOf(version: number, changes: Partial<PodView> = {}): PodView {
  const facts = exampleFacts({ bot: exampleBot() });
  return examplePod(facts, { name: `verify-acct-1-v${version}`, role: "verify", ...changes });
}
const { credentialsVersion: _, ...RESULT } = VERIFICATION;
const ended = (message: string | undefined) => ({
  end: {
    succeeded: true,
    message,
    podReason: undefined,
    exitCode: undefined,
    finishedAt: "2026-01-01T11:59:00Z",
  },
});
const saying = (result: object) => podOf(1, ended(JSON.stringify(result)));
const REFUSED_OTHER = {
  state: "refused",
  reason: "AccountChanged",
  message:
    "The new key belongs to another account of the exchange than the one that is connected here: " +
    "store a key of the former account again, and connect the other account as an account of its own.",
  permissions: [],
  asOf: RESULT.asOf,
};
/** Verified once as 4711, now with another key. */
const rekeyed = (status: object = {}) =>
  exampleAccount(
    { credentialsVersion: 2 },
    { verification: VERIFICATION, exchangeAccountId: "4711", ...status },
  );
const saying2 = (result: object) => podOf(2, ended(JSON.stringify(result)));
const unavailable = (asOf: string) =>
  exampleAccount(
    {},
    {
      verification: { ...VERIFICATION, state: "unavailable", asOf },
      conditions: [
        {
          ...condition("Verified", "Unknown", "Unavailable"),
          lastTransitionTime: "2026-01-01T11:00:00Z",
        },
      ],
    },
  );

/** Verified, with a key that ends. */
const expiring = (expiresAt: string, asOf: string = VERIFICATION.asOf) =>
  exampleAccount({}, { verification: { ...VERIFICATION, expiresAt, asOf } });

interface Case {
  readonly name: string;
  readonly facts: AccountFacts;
  readonly write?: string;
  readonly result?: object;
  readonly requeueAfterMs?: number;
  readonly awaitsKey?: true;
}

test.each<Case>([
  {
    name: "no finalizer yet",
    facts: factsOf({ account: { ...unverified, hasFinalizer: false } }),
    write: "add-finalizer",
  },
  {
    name: "no service account yet",
    facts: factsOf({ hasServiceAccount: false }),
    write: "create-service-account",
  },
  { name: "no key", facts: factsOf({ key: { kind: "absent" } }), awaitsKey: true },
  { name: "Vault silent", facts: factsOf({ key: { kind: "unknown" } }), awaitsKey: true },
  {
    name: "only the earlier version in Vault",
    facts: factsOf({ account: exampleAccount({ credentialsVersion: 2 }) }),
    awaitsKey: true,
  },
  { name: "key there", facts: factsOf(), write: "create-verify-pod" },
  { name: "no class to verify with", facts: factsOf({ verifyClass: undefined }) },
  { name: "being verified", facts: factsOf({ verifyPods: [podOf(1)] }) },
  {
    name: "a result that is not stored",
    facts: factsOf({ verifyPods: [saying(RESULT)] }),
    result: RESULT,
  },
  {
    name: "a result that is stored",
    facts: factsOf({ account: exampleAccount(), verifyPods: [saying(RESULT)] }),
    write: "delete-pod",
  },
  {
    name: "another key of the same account",
    facts: factsOf({ account: rekeyed(), verifyPods: [saying2(RESULT)] }),
    result: RESULT,
  },
  {
    name: "a key of another account",
    facts: factsOf({
      account: rekeyed(),
      verifyPods: [saying2({ ...RESULT, exchangeAccountId: "4712" })],
    }),
    result: REFUSED_OTHER,
  },
  {
    name: "a key of another account, where only the last verification remembers the first",
    facts: factsOf({
      account: rekeyed({ exchangeAccountId: undefined }),
      verifyPods: [saying2({ ...RESULT, exchangeAccountId: "4712" })],
    }),
    result: REFUSED_OTHER,
  },
  {
    name: "a key of another account after the exchange could not be asked",
    facts: factsOf({
      account: rekeyed({
        verification: { ...VERIFICATION, credentialsVersion: 2, state: "unavailable" },
      }),
      verifyPods: [saying2({ ...RESULT, exchangeAccountId: "4712" })],
    }),
    result: REFUSED_OTHER,
  },
  {
    name: "a refused key of another account",
    facts: factsOf({
      account: rekeyed(),
      verifyPods: [
        saying2({ ...RESULT, state: "refused", reason: "HedgeMode", exchangeAccountId: "4712" }),
      ],
    }),
    result: REFUSED_OTHER,
  },
  {
    name: "a key that says of no account that it is its own",
    facts: factsOf({
      account: rekeyed(),
      verifyPods: [saying2({ ...RESULT, exchangeAccountId: undefined })],
    }),
    result: REFUSED_OTHER,
  },
  {
    name: "ended without a word",
    facts: factsOf({ verifyPods: [podOf(1, ended(undefined))] }),
    result: {
      state: "unavailable",
      reason: "NoResult",
      message: "The key could not be checked: it ended without a result (no message).",
      permissions: [],
      asOf: "2026-01-01T11:59:00Z",
    },
  },
  {
    name: "a pod of an earlier version",
    facts: factsOf({ account: exampleAccount({ credentialsVersion: 2 }), verifyPods: [podOf(1)] }),
    write: "delete-pod",
  },
  { name: "verified", facts: factsOf({ account: exampleAccount() }) },
  {
    name: "refused: not asked again",
    facts: factsOf({
      account: exampleAccount({}, { verification: { ...VERIFICATION, state: "refused" } }),
    }),
  },
  {
    name: "unavailable for 59 minutes: asked again ten minutes after the last time",
    facts: factsOf({ account: unavailable("2026-01-01T11:59:00Z") }),
    requeueAfterMs: 540_000,
  },
  {
    name: "unavailable for ten seconds: asked again after ten",
    facts: factsOf({
      account: unavailable("2026-01-01T11:00:10Z"),
      now: new Date("2026-01-01T11:00:12Z"),
    }),
    requeueAfterMs: 8_000,
  },
  {
    name: "unavailable, time over",
    facts: factsOf({ account: unavailable("2026-01-01T11:49:00Z") }),
    write: "create-verify-pod",
  },
  {
    name: "a key that expires in a month is looked at in its last week",
    facts: factsOf({ account: expiring("2026-01-31T12:00:00Z") }),
    requeueAfterMs: 86_400_000,
  },
  {
    name: "a key that expires in a week: a day after it was looked at",
    facts: factsOf({ account: expiring("2026-01-08T12:10:00Z") }),
    requeueAfterMs: 12 * 3_600_000,
  },
  {
    name: "a key in its last week, a day after it was looked at",
    facts: factsOf({ account: expiring("2026-01-05T00:00:00Z", "2025-12-31T12:00:00Z") }),
    write: "create-verify-pod",
  },
  {
    name: "a key in its last week, less than a day after",
    facts: factsOf({ account: expiring("2026-01-05T00:00:00Z", "2025-12-31T12:00:01Z") }),
    requeueAfterMs: 1_000,
  },
  {
    name: "a key that expires now",
    facts: factsOf({ account: expiring("2026-01-01T12:00:00Z", "2026-01-01T11:00:00Z") }),
    write: "create-verify-pod",
  },
  {
    name: "a key that expires in a moment",
    facts: factsOf({ account: expiring("2026-01-01T12:00:01Z", "2026-01-01T11:00:00Z") }),
    requeueAfterMs: 1_000,
  },
  {
    name: "an accepted key stays accepted while the exchange cannot be asked again",
    facts: factsOf({
      account: expiring("2026-01-05T00:00:00Z", "2025-12-31T00:00:00Z"),
      verifyPods: [saying({ ...RESULT, state: "unavailable", reason: "ExchangeUnavailable" })],
    }),
    result: { ...RESULT, expiresAt: "2026-01-05T00:00:00Z" },
  },
  { name: "Retired with bots", facts: factsOf({ account: retired, botCount: 1 }) },
  {
    name: "Retired with a verify pod",
    facts: factsOf({ account: retired, verifyPods: [podOf(1)] }),
    write: "delete-pod",
  },
  {
    name: "a verify pod that should have ended half a minute ago: its machine is dead",
    facts: factsOf({
      verifyPods: [podOf(1, { isDeleting: true, endsBy: "2026-01-01T11:59:30Z" })],
    }),
    write: "release-pod",
  },
  {
    name: "a verify pod that should have ended this moment",
    facts: factsOf({
      verifyPods: [podOf(1, { isDeleting: true, endsBy: "2026-01-01T12:00:00Z" })],
    }),
    requeueAfterMs: 30_000,
  },
  {
    name: "Retired with a verify pod on a dead machine",
    facts: factsOf({
      account: retired,
      verifyPods: [podOf(1, { isDeleting: true, endsBy: "2026-01-01T11:00:00Z" })],
    }),
    write: "release-pod",
  },
  { name: "Retired", facts: factsOf({ account: retired }), write: "delete-account" },
  {
    name: "deleted",
    facts: factsOf({ account: { ...retired, isDeleting: true } }),
    write: "forget-key",
  },
  {
    name: "deleted and let go",
    facts: factsOf({ account: { ...retired, isDeleting: true, hasFinalizer: false } }),
  },
])("$name: $write", ({ facts, write, result, requeueAfterMs }) => {
  const plan = planAccount(facts);
  expect(plan.write?.kind).toBe(write);
  expect(plan.result).toEqual(result);
  expect(plan.requeueAfterMs).toBe(requeueAfterMs);
});

/** The account as its status says it is after the verify pod of this version has ended. */
function afterResult(account: AccountView, result: object): AccountView {
  const { credentialsVersion } = account.spec;
  const verifyPods = [podOf(credentialsVersion, ended(JSON.stringify(result)))];
  const facts = factsOf({ account, verifyPods });
  return { ...account, status: accountStatus(facts, planAccount(facts)) };
}
const withKey = (account: AccountView, credentialsVersion: number): AccountView => ({
  ...account,
  status: account.status,
  spec: { ...account.spec, credentialsVersion },
});
const readyOf = ({ status }: AccountView) => conditionOf(status.conditions, "Ready")?.reason;

test("the account that was connected first is remembered through other keys, and comes back", () => {
  const first = afterResult(unverified, RESULT);
  expect([first.status.exchangeAccountId, readyOf(first)]).toEqual(["4711", "Verified"]);

  const other = afterResult(withKey(first, 2), { ...RESULT, exchangeAccountId: "4712" });
  expect(other.status).toMatchObject({ exchangeAccountId: "4711", verification: REFUSED_OTHER });
  expect(other.status.conditions).toContainEqual(
    expect.objectContaining({ type: "Ready", status: "False", reason: "AccountChanged" }),
  );
  expect(exchangeIdentity(other)).toBe("bybit/live/4711");
  const stored = { ...saying2({ ...RESULT, exchangeAccountId: "4712" }) };
  expect(planAccount(factsOf({ account: other, verifyPods: [stored] })).write?.kind).toBe(
    "delete-pod",
  );

  const again = afterResult(withKey(other, 3), RESULT);
  expect([again.status.exchangeAccountId, readyOf(again)]).toEqual(["4711", "Verified"]);
});

test.each([
  ["2026-01-08T12:00:00.001Z", "False ValidForLong"],
  ["2026-01-08T12:00:00Z", "True ExpiresSoon"],
  ["2025-12-31T00:00:00Z", "True ExpiresSoon"],
])("a key that is valid until %s says KeyExpiring=%s", (expiresAt, wanted) => {
  const { conditions } = accountStatus(factsOf({ account: expiring(expiresAt) }), {});
  const said = conditionOf(conditions, "KeyExpiring");
  expect(`${said?.status} ${said?.reason}`).toBe(wanted);
  expect(said?.message).toContain(new Date(expiresAt).toISOString());
});

test("a key that does not expire says nothing of it", () => {
  const { conditions } = accountStatus(factsOf({ account: exampleAccount() }), {});
  expect(conditionOf(conditions, "KeyExpiring")).toBeUndefined();
});
