import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { KubeClient, WatchOptions } from "./client.ts";
import { KubernetesError } from "./kubernetes-error.ts";
import { becomeLeader, type Clocks } from "./leader-election.ts";
import type { Lease } from "./resource.ts";

/** Long enough for a busy machine, short enough to be waited for. */
const TIMING = { leaseDurationMs: 4_000, renewDeadlineMs: 2_500, renewMs: 50, retryMs: 60 };

/** What becomes of a renewal. */
type Fate = "answered" | "answer lost" | "silence" | "refused";

type LeaseClient = Parameters<typeof becomeLeader>[0]["client"];

const ALWAYS = (): Fate => "answered";

async function* noPages() {}

/** There is no lease yet, and never any news. */
async function* watch(_resource: unknown, { signal }: WatchOptions) {
  const annotations = { "k8s.io/initial-events-end": "true" };
  yield {
    type: "BOOKMARK",
    object: { metadata: { resourceVersion: "1", annotations } },
  } as const;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

/** A Lease in memory, which nobody holds at first. */
function leaseServer() {
  let lease: Lease | undefined;
  let revision = 1;
  let fate = ALWAYS;
  let renewals = 0;

  function store(spec: Lease["spec"]): Lease {
    const metadata = { name: "l", namespace: "n", resourceVersion: String(++revision) };
    lease = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata,
      ...(spec && { spec }),
    };
    return lease;
  }

  async function patch(_resource: unknown, _key: unknown, { body }: { body: unknown }) {
    const change = body as { metadata: { resourceVersion: string }; spec: Lease["spec"] }; // oxlint-disable-line typescript/no-unsafe-type-assertion
    renewals++;
    const now = fate();
    if (now === "silence") await sleep(60_000, undefined, { ref: false });
    if (now === "refused") throw new Error("ECONNREFUSED");
    if (change.metadata.resourceVersion !== lease?.metadata?.resourceVersion) throw conflict();
    const stored = store({ ...lease.spec, ...change.spec });
    if (now === "answer lost") throw new Error("ECONNRESET");
    return stored;
  }

  const client: Pick<KubeClient, "get" | "create" | "pages" | "watch" | "guarded"> = {
    get: async () => lease as never, // oxlint-disable-line typescript/no-unsafe-type-assertion
    create: async (_resource, object) => store((object as Lease).spec) as never, // oxlint-disable-line typescript/no-unsafe-type-assertion
    pages: noPages,
    watch,
    guarded: () => whole,
  };
  const whole = { ...client, patch } as unknown as KubeClient; // oxlint-disable-line typescript/no-unsafe-type-assertion
  return {
    client: whole as LeaseClient,
    decide: (next: () => Fate) => void (fate = next),
    renewals: () => renewals,
    steal: () => store({ holderIdentity: "other", leaseDurationSeconds: 1 }),
    holder: () => lease?.spec?.holderIdentity,
  };
}

function conflict(): KubernetesError {
  const answer = {
    status: 409,
    reason: "Conflict",
    message: "changed",
    retryAfterSeconds: undefined,
  };
  return new KubernetesError(answer, "PATCH");
}

async function leader(clocks?: Clocks) {
  const server = leaseServer();
  const leadership = await becomeLeader(
    {
      client: server.client,
      namespace: "n",
      name: "l",
      identity: "me",
      timing: TIMING,
      onError: () => {},
      ...(clocks && { clocks }),
    },
    AbortSignal.timeout(10_000),
  );
  return { server, leadership };
}

test.each<{ name: string; fates: readonly Fate[] }>([
  { name: "answers are lost on the way back", fates: ["answer lost", "answered"] },
  { name: "every other connection is dead without a word", fates: ["silence", "answered"] },
  { name: "the server is away now and then", fates: ["refused", "refused", "answered"] },
])("a leader stays when $name", async ({ fates }) => {
  const { server, leadership } = await leader();
  server.decide(() => fates[server.renewals() % fates.length] ?? "answered");
  await expect.poll(() => server.renewals(), { timeout: 15_000 }).toBeGreaterThan(15);
  expect({ holds: leadership.holds(), holder: server.holder() }).toEqual({
    holds: true,
    holder: "me",
  });
  server.decide(ALWAYS);
  await leadership.release();
  expect(server.holder()).toBe("");
});

test.each<{ name: string; fate: Fate }>([
  { name: "nothing answers", fate: "silence" },
  { name: "everything is refused", fate: "refused" },
])("a leader stops at its deadline, not later, when $name", async ({ fate }) => {
  const { server, leadership } = await leader();
  const lastGoodAt = performance.now();
  server.decide(() => fate);
  await new Promise((resolve) => leadership.signal.addEventListener("abort", resolve));
  expect(leadership.holds()).toBe(false);
  expect(performance.now() - lastGoodAt).toBeLessThan(TIMING.leaseDurationMs);
});

test("who has lost the lease to another gives up at once, and leaves it alone", async () => {
  const { server, leadership } = await leader();
  server.steal();
  await new Promise((resolve) => leadership.signal.addEventListener("abort", resolve));
  await leadership.release();
  expect(server.holder()).toBe("other");
});

test.each<{ name: string; jumpMs: number; holds: boolean }>([
  { name: "that was suspended", jumpMs: TIMING.renewDeadlineMs + 1, holds: false },
  { name: "whose wall clock is set back", jumpMs: -3_600_000, holds: true },
])("a leader on a machine $name: it still holds the lease is $holds", async ({ jumpMs, holds }) => {
  let wallMs = 0;
  // The monotonic clock stands still meanwhile.
  const { server, leadership } = await leader({ monotonic: () => 0, wall: () => wallMs });
  await expect.poll(() => server.renewals()).toBeGreaterThan(0);
  wallMs = jumpMs;
  const renewals = server.renewals();
  expect(leadership.holds()).toBe(holds);
  if (holds) return;
  await new Promise((resolve) => leadership.signal.addEventListener("abort", resolve));
  expect(server.renewals()).toBe(renewals);
});
