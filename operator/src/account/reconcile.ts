import { FINALIZERS } from "@tradingbots/crds";
import { backOffMs, isAlreadyExists } from "@tradingbots/kube";
import type { ClusterWrites } from "../cluster-writes.ts";
import { conditionOf, isSameStatus } from "../conditions.ts";
import type { PodSettings } from "../config.ts";
import type { Events } from "../events.ts";
import { podView } from "../pod-view.ts";
import type { StartLine } from "../start-line.ts";
import type { AccountView } from "./account-view.ts";
import type { AccountFacts } from "./facts.ts";
import { observeAccount, type ObserveDeps } from "./observe.ts";
import { type AccountPlan, type AccountWrite, planAccount } from "./plan.ts";
import { accountServiceAccount } from "./service-account.ts";
import { accountStatus, isWorthAnEvent } from "./status.ts";
import { isVerifyPodOf, verifyPod } from "./verify-pod.ts";

export interface AccountDeps extends ObserveDeps {
  readonly writes: ClusterWrites;
  readonly events: Events;
  readonly podSettings: PodSettings;
  /** How long a key has been waited for, by key of the account. */
  readonly keyWaits: Map<string, KeyWait>;
  readonly starts: Pick<StartLine, "ask" | "leave">;
  readonly wake: (key: string) => void;
}

/** Vault was asked so often in a row for the key of this generation in vain. */
export interface KeyWait {
  readonly generation: number;
  readonly times: number;
}

/** An account without a key, or all of them while Vault is away, must not ask it every few seconds for ever. */
const KEY_BACK_OFF = { initialMs: 10_000, maxMs: 300_000 };
/** Finalizer, service account, result, leftover pod, next pod, and one to spare. */
const STEPS_MAX = 6;

/** Brings one account from what is to what shall be, one write at a time. Called again after any change or failure. */
export async function reconcileAccount(
  key: string,
  deps: AccountDeps,
): Promise<{ readonly requeueAfterMs?: number | undefined }> {
  for (let step = 0; step < STEPS_MAX; step++) {
    const account = deps.cluster.accounts.store.get(key);
    if (account === undefined) return forget(key, deps);

    const facts = await observeAccount(account, deps);
    const plan = planAccount(facts);
    const leadsOn = plan.write !== undefined && LEADS_ON.has(plan.write.kind);
    // A result is in the status before its pod goes: the pod is the only other place that knows it. What goes itself needs none.
    const isLast = plan.write?.kind === "forget-key";
    if (!leadsOn && !isLast) await writeStatus(facts, plan, deps);
    if (plan.write?.kind !== "create-verify-pod") deps.starts.leave(startId(key));
    if (plan.write !== undefined && mayCarryOut(plan.write, key, deps)) {
      await carryOut(plan.write, facts, deps);
    }
    if (!leadsOn && plan.result === undefined) {
      return { requeueAfterMs: untilNextLookMs(account, plan, deps) };
    }
  }
  throw new Error(`${key} did not settle within ${STEPS_MAX} steps`);
}

/** Writes whose answers show in the store at once, so that the next step follows without waiting for the watch. */
const LEADS_ON = new Set<AccountWrite["kind"]>(["add-finalizer", "create-service-account"]);

/** A verify pod logs in at Vault like a bot, and somebody waits for it. */
function mayCarryOut({ kind }: AccountWrite, key: string, { starts, wake }: AccountDeps): boolean {
  if (kind !== "create-verify-pod") return true;
  return starts.ask({ id: startId(key), rank: "user", wake: () => wake(key) }).mayStart;
}

/** In the line of starts, where bots stand with their keys. */
function startId(key: string): string {
  return `verify ${key}`;
}

/** Who waits for a key asks ever more seldom; a change of the account, or a key, begins anew. */
function untilNextLookMs(
  { key, generation }: AccountView,
  { awaitsKey, requeueAfterMs }: AccountPlan,
  { keyWaits }: AccountDeps,
): number | undefined {
  if (awaitsKey !== true) {
    keyWaits.delete(key);
    return requeueAfterMs;
  }
  const known = keyWaits.get(key);
  const times = known?.generation === generation ? known.times + 1 : 1;
  keyWaits.set(key, { generation, times });
  return Math.min(backOffMs(times, KEY_BACK_OFF, Math.random), requeueAfterMs ?? Infinity);
}

function forget(key: string, { keyWaits, starts }: AccountDeps) {
  keyWaits.delete(key);
  starts.leave(startId(key));
  return {};
}

async function carryOut(
  write: AccountWrite,
  { account, verifyClass }: AccountFacts,
  { writes, vault, podSettings }: AccountDeps,
): Promise<void> {
  switch (write.kind) {
    case "add-finalizer":
      return writes.accounts.setFinalizers(account, [...account.finalizers, FINALIZERS.account]);
    case "create-service-account":
      return writes.createServiceAccount(accountServiceAccount(account));
    case "create-verify-pod":
      if (verifyClass === undefined) return undefined;
      return createOnce(verifyPod(account, verifyClass, podSettings), account, writes);
    case "delete-pod":
      return writes.deletePod(write.pod);
    case "release-pod":
      return writes.releasePod(write.pod);
    case "delete-account":
      return writes.accounts.remove(account);
    case "forget-key": {
      // The one step that nothing takes back: the watches may not have shown everything, and what cannot be read is in no store.
      if (await writes.isAccountInUse(account)) {
        throw new Error(
          "the account's key is kept: bots or pods of the account are left that no watch has shown",
        );
      }
      // When the answer to the last step was lost, the name, and the key under it, may be another account's by now.
      if (!(await writes.accounts.isThere(account))) return undefined;
      await vault.forget(account.namespace, account.name);
      const others = account.finalizers.filter((finalizer) => finalizer !== FINALIZERS.account);
      return writes.accounts.setFinalizers(account, others);
    }
  }
}

/** One that is there already, because an earlier answer was lost, serves as well. @throws Error when it is somebody else's */
async function createOnce(
  pod: ReturnType<typeof verifyPod>,
  account: AccountView,
  writes: AccountDeps["writes"],
): Promise<void> {
  try {
    await writes.createPod(pod);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    const known = await writes.findPod(pod.metadata);
    if (known === undefined) throw error; // gone this instant: try again
    if (!isVerifyPodOf(account, podView(known))) {
      const message = `the key cannot be verified: ${pod.metadata.name} is a pod of somebody else`;
      throw new Error(message, { cause: error });
    }
    writes.observePod(known);
  }
}

async function writeStatus(
  facts: AccountFacts,
  plan: AccountPlan,
  { writes, events }: AccountDeps,
): Promise<void> {
  const { account } = facts;
  const status = accountStatus(facts, plan);
  if (isSameStatus(account.status, status)) return;
  await writes.accounts.replaceStatus(account, status);
  const { namespace, name, uid } = account;
  for (const type of ["Ready", "KeyExpiring"]) {
    const before = conditionOf(account.status.conditions, type);
    const after = conditionOf(status.conditions, type);
    if (after === undefined || after.reason === before?.reason) continue;
    if (isWorthAnEvent(after.reason))
      events.warn({ kind: "ExchangeAccount", namespace, name, uid }, after.reason, after.message);
  }
}
