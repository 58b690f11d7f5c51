import type { KubeClient } from "@tradingbots/kube";
import { expect, test } from "vitest";
import { exampleAccount } from "../bot/example-facts.ts";
import { createClusterWrites } from "../cluster-writes.ts";
import type { ClusterView } from "../cluster-view.ts";
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
