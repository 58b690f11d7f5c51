import { type VerificationResult, verifyPodName } from "@tradingbots/crds";
import { isLost, untilLostMs } from "../bot/lost-pod.ts";
import { conditionOf } from "../conditions.ts";
import type { PodView } from "../pod-view.ts";
import { currentVerification } from "./account-view.ts";
import { nextLookMs } from "./expiry.ts";
import type { AccountFacts } from "./facts.ts";
import { retirementStep } from "./finalize.ts";
import { isSettled, isStored, judged, resultOf } from "./verification.ts";

export type AccountWrite =
  | { readonly kind: "add-finalizer" }
  | { readonly kind: "create-service-account" }
  | { readonly kind: "create-verify-pod" }
  | { readonly kind: "delete-pod"; readonly pod: PodView }
  | { readonly kind: "release-pod"; readonly pod: PodView }
  | { readonly kind: "delete-account" }
  | { readonly kind: "forget-key" };

export interface AccountPlan {
  readonly write?: AccountWrite;
  /** A verify pod's result that the status shall take over. */
  readonly result?: VerificationResult | undefined;
  readonly requeueAfterMs?: number;
  /** The key is not in Vault yet, or Vault does not answer: it is asked for again, ever more seldom. */
  readonly awaitsKey?: true;
}

/** An exchange that could not be asked is asked again after as long as it has been silent already, within these bounds. */
const UNAVAILABLE_RETRY_MIN_MS = 10_000;
const UNAVAILABLE_RETRY_MAX_MS = 600_000;
/** Timers hold at most 24.8 days; a day is as good. */
const LOOK_AGAIN_MAX_MS = 86_400_000;

/** Decides from facts alone what is done next about an account. */
export function planAccount(facts: AccountFacts): AccountPlan {
  const plan = nextStep(facts);
  return plan.write === undefined && plan.result === undefined ? withLostPods(facts, plan) : plan;
}

/** A verify pod on a dead machine would stay for ever, and its account with it. It opens nothing, so no lease is waited for. */
function withLostPods({ verifyPods, now }: AccountFacts, plan: AccountPlan): AccountPlan {
  const ending = verifyPods.filter(({ isDeleting }) => isDeleting);
  const lost = ending.find((pod) => isLost(pod, now));
  if (lost !== undefined) return { write: { kind: "release-pod", pod: lost } };
  const waits = ending.map(({ endsBy }) => untilLostMs(endsBy, now));
  const waitMs = Math.min(plan.requeueAfterMs ?? Infinity, ...waits);
  return waitMs === Infinity ? plan : { ...plan, requeueAfterMs: waitMs };
}

function nextStep(facts: AccountFacts): AccountPlan {
  const { account } = facts;
  if (account.isRetired) return retirementStep(facts);
  if (!account.hasFinalizer) return { write: { kind: "add-finalizer" } };
  if (!facts.hasServiceAccount) return { write: { kind: "create-service-account" } };

  const result = presentResult(facts);
  if (result !== undefined && !isStored(result, account)) return { result };
  const leftover = leftoverPod(facts);
  if (leftover !== undefined) return { write: { kind: "delete-pod", pod: leftover } };
  return isSettled(account, facts.now) ? untilNextLook(facts) : verify(facts);
}

function untilNextLook({ account, now }: AccountFacts): AccountPlan {
  const waitMs = nextLookMs(account) - now.getTime();
  return waitMs === Infinity ? {} : { requeueAfterMs: Math.min(waitMs, LOOK_AGAIN_MAX_MS) };
}

/** Whether a decision needs to know about the key in Vault: nothing is asked about keys that are settled. */
export function needsKey(facts: Omit<AccountFacts, "key">): boolean {
  const { account, hasServiceAccount } = facts;
  const comesFirst = account.isRetired || !account.hasFinalizer || !hasServiceAccount;
  return !comesFirst && !isSettled(account, facts.now) && presentPod(facts) === undefined;
}

function verify(facts: AccountFacts): AccountPlan {
  if (presentPod(facts) !== undefined) return {}; // its end is told by the watch
  const { account, key, verifyClass } = facts;
  const isThere = key.kind === "present" && key.version >= account.spec.credentialsVersion;
  if (!isThere) return { awaitsKey: true };
  if (verifyClass === undefined) return {}; // its creation is told by the watch
  const waitMs = untilRetry(facts);
  return waitMs > 0 ? { requeueAfterMs: waitMs } : { write: { kind: "create-verify-pod" } };
}

function untilRetry({ account, now }: AccountFacts): number {
  const last = currentVerification(account);
  if (last === undefined) return 0;
  const since = conditionOf(account.status.conditions, "Verified")?.lastTransitionTime;
  const lastAt = Date.parse(last.asOf);
  const silentMs = lastAt - Date.parse(since ?? last.asOf);
  const pauseMs = Math.min(UNAVAILABLE_RETRY_MAX_MS, Math.max(UNAVAILABLE_RETRY_MIN_MS, silentMs));
  return lastAt + pauseMs - now.getTime();
}

function presentPod({ account, verifyPods }: Pick<AccountFacts, "account" | "verifyPods">) {
  const name = verifyPodName(account.name, account.spec.credentialsVersion);
  return verifyPods.find((pod) => pod.name === name);
}

function presentResult(facts: AccountFacts): VerificationResult | undefined {
  const pod = presentPod(facts);
  const result = pod === undefined ? undefined : resultOf(pod);
  return result === undefined ? undefined : judged(result, facts.account);
}

/** A pod of an earlier version of the key, or one whose result is stored. */
function leftoverPod(facts: AccountFacts): PodView | undefined {
  const present = presentPod(facts);
  return facts.verifyPods.find(
    (pod) =>
      !pod.isDeleting &&
      (pod !== present || pod.end !== undefined || isSettled(facts.account, facts.now)),
  );
}
