import type { KubeClient } from "@tradingbots/kube";
import { expect, test } from "vitest";
import { exampleAccount, exampleClass } from "../bot/example-facts.ts";
import { createClusterWrites } from "../cluster-writes.ts";
import type { ClusterView } from "../cluster-view.ts";
import { createStartLine } from "../start-line.ts";
import type { AccountView } from "./account-view.ts";
import { type AccountDeps, reconcileAccount } from "./reconcile.ts";

const retired = exampleAccount(
  { state: "Retired" },
  {},
  { deletionTimestamp: "2026-01-01T00:00:00Z" },
);

/** The operator's watch shows an account that comes to its end; the API server has what it is told here under that name. */
function lastStep(atTheServer: { readonly metadata: { readonly uid: string } } | undefined) {
  const steps: string[] = [];
  const client = {
    async *pages() {
      yield { items: [], resourceVersion: "1" };
    },
    list: async () => [],
    get: async () => atTheServer,
    patch: async () => void steps.push("finalizer off"),
  };
  const accounts = {
    store: { get: () => retired, find: () => [] },
    observe: () => {},
    observeRemoval: () => void steps.push("gone"),
  };
  const cluster = {
    accounts,
    bots: { store: { find: () => [] }, observe: () => {}, observeRemoval: () => {} },
    halts: { observe: () => {}, observeRemoval: () => {} },
    classes: { store: { get: () => undefined } },
    pods: { find: () => [] },
    serviceAccounts: { get: () => undefined },
  };
  const deps = {
    cluster,
    vault: { forget: async () => void steps.push("key forgotten") },
    starts: { leave: () => {} },
    keyWaits: new Map(),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    writes: createClusterWrites(client as unknown as KubeClient, cluster as unknown as ClusterView),
    now: () => new Date(),
  };
  const act = () => reconcileAccount(retired.key, deps as unknown as AccountDeps); // oxlint-disable-line typescript/no-unsafe-type-assertion
  return { act, steps };
}

test("the key goes with its account", async () => {
  const { act, steps } = lastStep({ metadata: { uid: retired.uid } });
  await act();
  expect(steps).toEqual(["key forgotten", "finalizer off"]);
});

test.each([
  { what: "nothing", there: undefined },
  { what: "another account", there: { metadata: { uid: "uid-of-another" } } },
])("no key goes when $what bears the name by now", async ({ there }) => {
  const { act, steps } = lastStep(there);
  await act();
  expect(steps).toEqual(["gone"]);
});

/** An account that has never been checked, and a Vault that says what it is told here. */
function unverified(answer: () => Promise<number | undefined>) {
  const state = { account: exampleAccount({}, {}) as AccountView | undefined, verifyPods: 0 };
  const starts = createStartLine({ perSecond: 1, clock: () => 0 });
  const deps = {
    cluster: {
      accounts: { store: { get: () => state.account, find: () => [] } },
      bots: { store: { find: () => [] } },
      classes: { store: { get: () => exampleClass } },
      pods: { find: () => [] },
      serviceAccounts: { get: () => ({}) },
    },
    vault: { currentVersion: answer },
    writes: {
      accounts: { replaceStatus: async () => {} },
      createPod: async () => void state.verifyPods++,
    },
    events: { warn: () => {} },
    podSettings: {},
    keyWaits: new Map(),
    starts,
    wake: () => {},
    onError: () => {},
    now: () => new Date(),
  };
  const pass = () => reconcileAccount("tradingbots-00/acct-1", deps as unknown as AccountDeps); // oxlint-disable-line typescript/no-unsafe-type-assertion
  return { state, starts, pass };
}

test.each([
  { what: "a key that is missing", answer: async () => undefined },
  { what: "a Vault that does not answer", answer: async () => Promise.reject(new Error("sealed")) },
])("$what is asked for ever more seldom, and at once after a change", async ({ answer }) => {
  const { state, starts, pass } = unverified(answer);
  for (const atMostMs of [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]) {
    const { requeueAfterMs } = await pass();
    expect(requeueAfterMs).toBeGreaterThanOrEqual(atMostMs / 2);
    expect(requeueAfterMs).toBeLessThan(atMostMs);
  }
  state.account = exampleAccount({ credentialsVersion: 2 }, {}, { generation: 2 });
  expect((await pass()).requeueAfterMs).toBeLessThan(10_000);
  starts.stop();
});

test("a key that was there is waited for anew when it is missing again", async () => {
  let version: number | undefined;
  const { starts, pass } = unverified(async () => version);
  for (let missing = 0; missing < 5; missing++) await pass();
  version = 1;
  await pass();
  version = undefined;
  expect((await pass()).requeueAfterMs).toBeLessThan(10_000);
  starts.stop();
});

test.each<{ what: string; change: (state: { account: AccountView | undefined }) => void }>([
  { what: "is gone", change: (state) => (state.account = undefined) },
  { what: "is Retired", change: (state) => (state.account = exampleAccount({ state: "Retired" })) },
  { what: "is verified", change: (state) => (state.account = exampleAccount()) },
])("an account that $what leaves the line of starts", async ({ change }) => {
  const { state, starts, pass } = unverified(async () => 1);
  starts.ask({ id: "another", rank: "user", wake: () => {} });
  await pass();
  expect([starts.size(), state.verifyPods]).toEqual([1, 0]);
  change(state);
  await pass().catch(() => {}); // how it ends needs more than is here
  expect(starts.size()).toBe(0);
  starts.stop();
});
