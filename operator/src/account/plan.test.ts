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
import type { PodView } from "../pod-view.ts";
import type { AccountView } from "./account-view.ts";
import type { AccountFacts } from "./facts.ts";
import { planAccount } from "./plan.ts";

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
  end: { succeeded: true, message, podReason: undefined, finishedAt: "2026-01-01T11:59:00Z" },
});
const saying = (result: object) => podOf(1, ended(JSON.stringify(result)));
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

interface Case {
  readonly name: string;
  readonly facts: AccountFacts;
  readonly write?: string;
  readonly result?: object;
  readonly requeueAfterMs?: number;
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
  { name: "no key", facts: factsOf({ key: { kind: "absent" } }), requeueAfterMs: 10_000 },
  { name: "Vault silent", facts: factsOf({ key: { kind: "unknown" } }), requeueAfterMs: 10_000 },
  {
    name: "only the earlier version in Vault",
    facts: factsOf({ account: exampleAccount({ credentialsVersion: 2 }) }),
    requeueAfterMs: 10_000,
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
  { name: "Retired with bots", facts: factsOf({ account: retired, botCount: 1 }) },
  {
    name: "Retired with a verify pod",
    facts: factsOf({ account: retired, verifyPods: [podOf(1)] }),
    write: "delete-pod",
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
