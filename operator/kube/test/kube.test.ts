import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startControlPlane, type ControlPlane } from "../../../hack/control-plane/control-plane.ts";
import {
  becomeLeader,
  type ClusterAccess,
  createKubeClient,
  createReflector,
  isAlreadyExists,
  isConflict,
  type KubeClient,
  kubeconfigAccess,
  LEASES,
  NAMESPACES,
  SERVICE_ACCOUNTS,
  WriteForbiddenError,
} from "../src/index.ts";
import type { TransportOptions } from "../src/transport.ts";
import { type FaultyProxy, startFaultyProxy } from "./faulty-proxy.ts";

let controlPlane: ControlPlane;
let access: ClusterAccess;
let client: KubeClient;
let proxy: FaultyProxy;

beforeAll(async () => {
  controlPlane = await startControlPlane();
  access = await kubeconfigAccess(controlPlane.kubeconfigPath);
  client = createKubeClient(access);
  const { hostname, port } = new URL(controlPlane.url);
  proxy = await startFaultyProxy({ host: hostname, port: Number(port) });
});
afterAll(async () => {
  await client.close();
  await proxy.close();
  await controlPlane.stop();
});

const serviceAccount = (at: string, name: string, labels: Record<string, string> = {}) => ({
  apiVersion: "v1",
  kind: "ServiceAccount",
  metadata: { namespace: at, name, labels },
});

async function namespace(name: string): Promise<string> {
  await client.create(NAMESPACES, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  return name;
}

async function reflect(options: {
  namespace: string;
  initial: "stream" | "pages";
  /** A client of its own, through the proxy. */
  throughProxy?: TransportOptions;
}) {
  const told: string[] = [];
  const restarts: string[] = [];
  const own =
    options.throughProxy === undefined
      ? client
      : createKubeClient(
          { ...access, server: `https://127.0.0.1:${proxy.port}` },
          options.throughProxy,
        );
  const reflector = createReflector({
    client: own,
    resource: SERVICE_ACCOUNTS,
    namespace: options.namespace,
    initial: options.initial,
    project: ({ metadata }) => ({
      name: metadata?.name ?? "",
      version: metadata?.labels?.["version"],
    }),
    handlers: {
      onUpsert: ({ name, version }, _previous, origin) =>
        void told.push(`${origin} ${name}${version ?? ""}`),
      onDelete: ({ name }) => void told.push(`gone ${name}`),
    },
    timing: { backOff: { initialMs: 20, maxMs: 500 } },
    onRestart: (reason) => void restarts.push(reason),
  });
  reflector.start();
  await reflector.synced;
  return {
    reflector,
    told,
    restarts,
    stop: async () => {
      await reflector.stop();
      if (own !== client) await own.close();
    },
  };
}

test("verbs: absent is undefined, doubled and stale writes are told apart, deletion minds the uid", async () => {
  const at = { namespace: await namespace("verbs"), name: "a" };
  expect(await client.get(SERVICE_ACCOUNTS, at)).toBeUndefined();
  const created = await client.create(SERVICE_ACCOUNTS, serviceAccount("verbs", "a"));
  await expect(client.create(SERVICE_ACCOUNTS, serviceAccount("verbs", "a"))).rejects.toSatisfy(
    isAlreadyExists,
  );

  const labels = async (body: unknown, type: "merge" | "json" | "apply") =>
    (await client.patch(SERVICE_ACCOUNTS, at, { type, body, fieldManager: "test" })).metadata
      ?.labels;
  expect(await labels({ metadata: { labels: { a: "1" } } }, "merge")).toEqual({ a: "1" });
  expect(await labels([{ op: "add", path: "/metadata/labels/b", value: "2" }], "json")).toEqual({
    a: "1",
    b: "2",
  });
  expect(await labels(serviceAccount("verbs", "a", { c: "3" }), "apply")).toMatchObject({ c: "3" });

  const stale = { metadata: { resourceVersion: created.metadata?.resourceVersion, labels: {} } };
  await expect(labels(stale, "merge")).rejects.toSatisfy(isConflict);
  await expect(
    client.remove(SERVICE_ACCOUNTS, at, { uid: "00000000-0000-0000-0000-000000000000" }),
  ).rejects.toSatisfy(isConflict);
  const hold = (finalizers: readonly string[]) =>
    client.patch(SERVICE_ACCOUNTS, at, { type: "merge", body: { metadata: { finalizers } } });
  await hold(["tradingbots.dev/test"]);
  const left = await client.remove(SERVICE_ACCOUNTS, at, { uid: created.metadata?.uid ?? "" });
  expect(left?.metadata?.deletionTimestamp).toBeDefined();
  await hold([]);
  expect(await client.remove(SERVICE_ACCOUNTS, at)).toBeUndefined();
  await client.create(SERVICE_ACCOUNTS, serviceAccount("verbs", "a"));
  expect(await client.remove(SERVICE_ACCOUNTS, at)).toBeUndefined();
  expect(await client.get(SERVICE_ACCOUNTS, at)).toBeUndefined();
});

test("a guarded client reads, and writes only as long as it may", async () => {
  let mayWrite = true;
  const guarded = client.guarded({ mayWrite: () => mayWrite });
  const at = { namespace: await namespace("guarded"), name: "a" };
  await guarded.create(SERVICE_ACCOUNTS, serviceAccount("guarded", "a"));
  mayWrite = false;
  await expect(guarded.remove(SERVICE_ACCOUNTS, at)).rejects.toThrow(WriteForbiddenError);
  expect(await guarded.get(SERVICE_ACCOUNTS, at)).toBeDefined();
});

test("lists longer than a page are complete", async () => {
  const at = await namespace("pages");
  const names = Array.from({ length: 1_203 }, (_, index) => `a${index}`);
  await Promise.all(names.map((name) => client.create(SERVICE_ACCOUNTS, serviceAccount(at, name))));
  const listed = await client.list(SERVICE_ACCOUNTS, { namespace: at });
  expect(new Set(listed.map(({ metadata }) => metadata?.name))).toEqual(new Set(names));
  expect(listed).toHaveLength(names.length);
});

test.each(["stream", "pages"] as const)(
  "the present state by %s, then changes",
  async (initial) => {
    const at = await namespace(`reflect-${initial}`);
    await client.create(SERVICE_ACCOUNTS, serviceAccount(at, "before"));
    const { reflector, told, stop } = await reflect({ namespace: at, initial });
    expect(told).toEqual(["fill before"]);

    await client.create(SERVICE_ACCOUNTS, serviceAccount(at, "after"));
    const body = { metadata: { labels: { version: "2" } } };
    const key = { namespace: at, name: "after" };
    reflector.observe(await client.patch(SERVICE_ACCOUNTS, key, { type: "merge", body }));
    await client.remove(SERVICE_ACCOUNTS, { namespace: at, name: "before" });
    await expect.poll(() => told.at(-1)).toBe("gone before");
    expect(told.filter((line) => line.includes("after2"))).toHaveLength(1);
    expect([...reflector.store.views()]).toEqual([{ name: "after", version: "2" }]);
    await stop();
  },
);

test("resets in mid-stream lose nothing and cost no new list", async () => {
  const at = await namespace("resets");
  const { reflector, told, restarts, stop } = await reflect({
    namespace: at,
    initial: "stream",
    throughProxy: {},
  });
  const names = Array.from({ length: 120 }, (_, index) => `a${String(index).padStart(3, "0")}`);
  for (const [index, name] of names.entries()) {
    await client.create(SERVICE_ACCOUNTS, serviceAccount(at, name));
    if (index % 20 === 10) proxy.resetAll();
  }
  proxy.setOpen(false);
  proxy.resetAll();
  await client.create(SERVICE_ACCOUNTS, serviceAccount(at, "while-away"));
  await client.remove(SERVICE_ACCOUNTS, { namespace: at, name: "a000" });
  await sleep(200);
  proxy.setOpen(true);
  await expect
    .poll(() => [...reflector.store.views()].map(({ name }) => name).toSorted(), {
      timeout: 10_000,
    })
    .toEqual([...names.slice(1), "while-away"]);
  expect(told.filter((line) => line.startsWith("fill"))).toEqual([]);
  expect(told).toHaveLength(new Set(told).size);
  expect(new Set(restarts)).toEqual(new Set(["disconnected"]));
  await stop();
});

test("a connection that died without a word is found by its silence, and its watch goes on from there", async () => {
  const at = await namespace("dead");
  const pingMs = 400;
  const { reflector, restarts, stop } = await reflect({
    namespace: at,
    initial: "stream",
    throughProxy: { watchPingMs: pingMs },
  });
  await sleep(6 * pingMs);
  expect(restarts).toEqual([]); // a watch that has nothing to say is not dead
  proxy.silence();
  const silentSince = performance.now();
  await client.create(SERVICE_ACCOUNTS, serviceAccount(at, "unheard"));
  await expect.poll(() => reflector.store.size(), { timeout: 10_000 }).toBe(1);
  expect(performance.now() - silentSince).toBeGreaterThan(3 * pingMs);
  expect(restarts).toHaveLength(1);
  await stop();
});

test("one leads, a crashed leader is followed only after its lease, a released one at once", async () => {
  const at = await namespace("election");
  const timing = { leaseDurationMs: 4_000, renewDeadlineMs: 3_000, renewMs: 500, retryMs: 100 };
  const errors: unknown[] = [];
  const candidate = (identity: string, through = client) =>
    becomeLeader(
      {
        client: through,
        namespace: at,
        name: "operator",
        identity,
        timing,
        onError: (error) => void errors.push(error),
      },
      AbortSignal.timeout(20_000),
    );
  const cutOff = createKubeClient({ ...access, server: `https://127.0.0.1:${proxy.port}` });
  const first = await candidate("first", cutOff);
  expect(first.holds()).toBe(true);

  let secondLeads = false;
  const second = candidate("second").then((leadership) => {
    secondLeads = true;
    expect(first.holds()).toBe(false);
    expect(first.signal.aborted).toBe(true);
    return leadership;
  });
  await sleep(timing.leaseDurationMs * 1.5);
  expect({ first: first.holds(), secondLeads }).toEqual({ first: true, secondLeads: false });

  proxy.setOpen(false);
  proxy.resetAll();
  const cutAt = performance.now();
  const leadership = await second;
  proxy.setOpen(true);
  expect(performance.now() - cutAt).toBeLessThan(timing.leaseDurationMs + 1_000);
  expect(errors.length).toBeGreaterThan(0);

  const third = candidate("third");
  await sleep(300);
  const releasedAt = performance.now();
  await leadership.release();
  expect(leadership.holds()).toBe(false);
  await third;
  expect(performance.now() - releasedAt).toBeLessThan(1_000);
  const lease = await client.get(LEASES, { namespace: at, name: "operator" });
  expect(lease?.spec).toMatchObject({ holderIdentity: "third", leaseTransitions: 2 });
  await (await third).release();
  await cutOff.close();
});
