import { setImmediate } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import type { WatchEvent, WatchOptions } from "./client.ts";
import { KubernetesError } from "./kubernetes-error.ts";
import { createReflector, type ReflectorTiming } from "./reflector.ts";
import { NAMESPACES } from "./resource.ts";

const FAST: ReflectorTiming = {
  stallMs: 300,
  watchSeconds: 1,
  backOff: { initialMs: 2, maxMs: 10 },
};

const namespace = (name: string, version: number) => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, uid: name, resourceVersion: String(version) },
});
const bookmark = (version: number, endsInitialEvents = false): WatchEvent => ({
  type: "BOOKMARK",
  object: {
    metadata: {
      resourceVersion: String(version),
      ...(endsInitialEvents ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
    },
  },
});
const added = (name: string, version: number): WatchEvent => ({
  type: "ADDED",
  object: namespace(name, version),
});
const deleted = (name: string, version: number): WatchEvent => ({
  type: "DELETED",
  object: namespace(name, version),
});
const failure = (status: number, retryAfterSeconds?: number) =>
  new KubernetesError({ status, reason: "Test", message: "test", retryAfterSeconds }, "test");

/** What one connection brings; an Error ends it, "silence" lasts until the reflector hangs up. */
type Script = readonly (WatchEvent | Error | "silence")[];

/** A server whose connections follow scripts, one after the other; afterwards every connection is silent. */
function serverOf(scripts: readonly Script[]) {
  const asked: (string | undefined)[] = [];
  const askedAt: number[] = [];
  let pagesRead = 0;
  const client = {
    async *pages() {
      pagesRead++;
      yield { items: [namespace("from-pages", 5)], resourceVersion: "7" };
    },
    async *watch(_resource: unknown, options: WatchOptions) {
      asked.push(options.sendInitialEvents === true ? "fill" : options.resourceVersion);
      askedAt.push(performance.now());
      for (const step of scripts[asked.length - 1] ?? ["silence" as const]) {
        if (step instanceof Error) throw step;
        if (step === "silence") await hangUp(options.signal);
        else yield step;
      }
    },
  };
  return { client, asked, askedAt, pagesRead: () => pagesRead };
}

async function hangUp(signal: AbortSignal): Promise<never> {
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  throw new Error("hung up");
}

async function follow(scripts: readonly Script[], connections: number) {
  const server = serverOf(scripts);
  const restarts: string[] = [];
  const told: string[] = [];
  const reflector = createReflector({
    client: server.client,
    resource: NAMESPACES,
    project: (object) => object.metadata?.name ?? "",
    handlers: {
      onUpsert: (name) => void told.push(name),
      onDelete: (name) => void told.push(`gone ${name}`),
    },
    timing: FAST,
    onRestart: (reason) => void restarts.push(reason),
  });
  reflector.start();
  await expect
    .poll(() => server.asked.length, { timeout: 5_000 })
    .toBeGreaterThanOrEqual(connections);
  await reflector.stop();
  return { ...server, reflector, restarts, told, names: [...reflector.store.views()].toSorted() };
}

const FILL: Script = [added("a", 3), bookmark(10, true)];

test.each<{ name: string; scripts: readonly Script[]; asked: string[]; restarts: string[] }>([
  {
    name: "an ordinary end goes on from the last bookmark",
    scripts: [[...FILL, bookmark(20)]],
    asked: ["fill", "20"],
    restarts: ["closed"],
  },
  {
    name: "a reset goes on from the last event",
    scripts: [[...FILL, added("b", 15), new Error("ECONNRESET")]],
    asked: ["fill", "15"],
    restarts: ["disconnected"],
  },
  {
    name: "a reset in the middle of the fill fills again",
    scripts: [[added("a", 3), new Error("ECONNRESET")], FILL],
    asked: ["fill", "fill", "10"],
    restarts: ["disconnected", "closed"],
  },
  {
    name: "410 fills again",
    scripts: [FILL, [failure(410)], FILL],
    asked: ["fill", "10", "fill", "10"],
    restarts: ["closed", "expired", "closed"],
  },
  {
    name: "a 500 goes on from where it was",
    scripts: [FILL, [failure(500)]],
    asked: ["fill", "10", "10"],
    restarts: ["closed", "refused"],
  },
  {
    name: "silence is a dead connection",
    scripts: [[...FILL, "silence"]],
    asked: ["fill", "10"],
    restarts: ["stalled"],
  },
])("$name", async ({ scripts, asked, restarts }) => {
  const seen = await follow(scripts, asked.length);
  expect(seen.asked.slice(0, asked.length)).toEqual(asked);
  expect(seen.restarts.slice(0, restarts.length)).toEqual(restarts);
  expect(seen.names).toContain("a");
});

test.each<{ name: string; scripts: readonly Script[]; told: string[] }>([
  {
    name: "that the first fill itself brought",
    scripts: [[added("a", 3), added("b", 4), deleted("a", 5), bookmark(10, true)]],
    told: ["a", "b", "gone a"],
  },
  {
    name: "that was known before a repeated fill, and is mentioned by it",
    scripts: [
      [added("a", 3), added("b", 4), bookmark(10, true)],
      [failure(410)],
      [added("a", 3), added("b", 4), deleted("a", 15), bookmark(20, true)],
    ],
    told: ["a", "b", "gone a"],
  },
  {
    name: "that was known before a repeated fill, and is told by its end only",
    scripts: [
      [added("a", 3), added("b", 4), bookmark(10, true)],
      [failure(410)],
      [added("b", 4), deleted("a", 15), bookmark(20, true)],
    ],
    told: ["a", "b", "gone a"],
  },
  {
    name: "and is made anew before the fill ends, which stays",
    scripts: [[added("b", 3), deleted("b", 5), added("b", 6), bookmark(10, true)]],
    told: ["b", "gone b", "b"],
  },
  {
    name: "whose creation is told again after its deletion",
    scripts: [[added("b", 3), added("a", 4), deleted("a", 5), added("a", 4), bookmark(10, true)]],
    told: ["b", "a", "gone a"],
  },
  {
    name: "that a resumed watch tells of again",
    scripts: [
      [added("b", 3), bookmark(10, true), added("a", 11), deleted("a", 12)],
      [added("a", 11), deleted("a", 12)],
    ],
    told: ["b", "a", "gone a"],
  },
])("no ghost is left of an object $name", async ({ scripts, told }) => {
  const seen = await follow(scripts, scripts.length + 1);
  expect(seen.names).toEqual(["b"]);
  expect(seen.told).toEqual(told);
});

test("where the server refuses to stream the present state, it is read in pages", async () => {
  const seen = await follow([[failure(422)]], 2);
  expect({ pages: seen.pagesRead(), asked: seen.asked.slice(0, 2), names: seen.names }).toEqual({
    pages: 1,
    asked: ["fill", "7"],
    names: ["from-pages"],
  });
});

test("an event of the past does not turn the watch back", async () => {
  const seen = await follow([[...FILL, added("b", 20), added("b", 15), new Error("reset")]], 2);
  expect(seen.asked.slice(0, 2)).toEqual(["fill", "20"]);
});

test("Retry-After is waited out", async () => {
  const seen = await follow([FILL, [failure(429, 0.2)]], 3);
  expect((seen.askedAt[2] ?? 0) - (seen.askedAt[1] ?? 0)).toBeGreaterThanOrEqual(195);
});

test("a server that always closes at once is asked less and less often", async () => {
  const seen = await follow(
    Array.from({ length: 6 }, () => [failure(410)]),
    6,
  );
  expect((seen.askedAt[5] ?? 0) - (seen.askedAt[0] ?? 0)).toBeGreaterThanOrEqual(1 + 2 + 4 + 5 + 5);
});

test("a server that takes connections and says nothing is asked less and less often", async () => {
  const silentFor = 6_000; // longer than what counts as a connection in order
  const realNow = performance.now.bind(performance);
  let skippedMs = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => realNow() + skippedMs);
  const askedAt: number[] = [];
  const reflector = createReflector({
    client: {
      async *pages() {},
      async *watch() {
        askedAt.push(realNow());
        skippedMs += silentFor;
        yield await setImmediate().then(() => Promise.reject<WatchEvent>(new Error("ECONNRESET")));
      },
    },
    resource: NAMESPACES,
    project: (object) => object.metadata?.name ?? "",
    handlers: { onUpsert: () => {}, onDelete: () => {} },
    timing: { backOff: { initialMs: 20, maxMs: 80 } },
  });
  reflector.start();
  await expect.poll(() => askedAt.length, { timeout: 5_000 }).toBeGreaterThanOrEqual(5);
  await reflector.stop();
  clock.mockRestore();
  // A millisecond less each: timers may be early by a fraction.
  expect((askedAt[4] ?? 0) - (askedAt[0] ?? 0)).toBeGreaterThanOrEqual(10 + 20 + 40 + 40 - 4);
});

/** What a bot with eight conditions weighs. */
const PADDING = "x".repeat(2_500);
/** A slice is 4 ms; an object takes this long on the test's clock. */
const OBJECT_MS = 0.1;

test("the fills of many reflectors together leave others their turns", async () => {
  const lines = Array.from({ length: 500 }, (_, index) =>
    JSON.stringify({ ...added(`a${index}`, index + 1), padding: PADDING }),
  );
  const client = {
    async *pages() {},
    async *watch(_resource: unknown, { signal }: WatchOptions) {
      for (const line of lines) yield JSON.parse(line) as WatchEvent; // oxlint-disable-line typescript/no-unsafe-type-assertion
      yield bookmark(1_000, true);
      await hangUp(signal);
    },
  };
  const kept: string[] = [];
  const clock = vi.spyOn(performance, "now").mockImplementation(() => kept.length * OBJECT_MS);
  const reflectors = Array.from({ length: 16 }, () =>
    createReflector({
      client,
      resource: NAMESPACES,
      project: (object) => object.metadata?.name ?? "",
      handlers: { onUpsert: (name) => kept.push(name), onDelete: () => {} },
    }),
  );
  for (const reflector of reflectors) reflector.start();
  const perTurn: number[] = [];
  while (kept.length < 16 * 500) {
    const before = kept.length;
    await setImmediate();
    perTurn.push(kept.length - before);
  }
  clock.mockRestore();
  await Promise.all(reflectors.map((reflector) => reflector.stop()));
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(4 / OBJECT_MS + 16);
});
