import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { PODS } from "@tradingbots/kube";
import { expect, test, type TestContext } from "vitest";
import type { Passed } from "./line.ts";
import { NAMESPACE, type Platform, startPlatform } from "./platform.ts";
import { isWork, Replica } from "./replica.ts";
import { until } from "./until.ts";

/**
 * Two operators, and the leader is lost without dying: cut off from the API server, or frozen, in the middle of many writes. Who
 * wrote is seen on each one's way to the API server; which of two writes was earlier, by the revision of the store.
 */

/** How long the leader is gone: four leases. */
const GONE_MS = 60_000;
const LEASE_MS = 15_000;
/** More than an operator's 32 connections to the API server, so that some writes wait their turn. */
const BOTS = 60;

interface Stage {
  readonly platform: Platform;
  readonly leader: Replica;
  readonly standby: Replica;
}

async function setStage({ onTestFinished }: TestContext): Promise<Stage> {
  const platform = await startPlatform();
  onTestFinished(() => platform.stop());
  const leader = await Replica.start("operator-0", platform);
  onTestFinished(() => leader.remove());
  await until("the first leads", () => leader.leads());
  const standby = await Replica.start("operator-1", platform);
  onTestFinished(() => standby.remove());
  await until("the second follows", () => standby.process.hasSaid("following the cluster"));
  expect(await standby.leads()).toBe(false);
  return { platform, leader, standby };
}

async function createBots({ platform }: Stage): Promise<readonly string[]> {
  // A class admits a few bots of one user only.
  return Promise.all(
    Array.from({ length: BOTS }, () => platform.createBot({ userId: randomUUID() })),
  );
}

test.concurrent(
  "a leader that is cut off writes nothing any more; the standby goes on without a new list",
  { timeout: 180_000 },
  async (context) => {
    const stage = await setStage(context);
    const { leader } = stage;
    const cut = Promise.withResolvers<void>();
    let creations = 0;
    leader.line.treat = (request) => {
      if (!isPodCreation(request)) return { kind: "pass" };
      creations += 1;
      return { kind: "hold", until: cut.promise };
    };
    const bots = await createBots(stage);
    await until("many writes are on their way", () => creations > 20);
    leader.wire.cut();
    const cutMs = performance.now();
    cut.resolve(); // what was sent arrives; the answers do not, and what waits for a connection gets none
    expect(await leader.process.exited()).toBe(1);
    leader.process.start(); // as the kubelet does
    await takesOver(stage, cutMs);
    await hasPods(stage, bots);

    await sleep(cutMs + GONE_MS - performance.now());
    leader.wire.heal();
    const healedMs = performance.now();
    await standsBy(stage);
    // What it wrote about its lease may arrive: it names a version, so it is refused.
    expect(leader.writesSince(healedMs).filter(isWork)).toEqual([]);
    neverTwoWriters(stage);
  },
);

test.concurrent(
  "a leader that was frozen writes nothing when it wakes up",
  { timeout: 180_000 },
  async (context) => {
    const stage = await setStage(context);
    const { leader, standby } = stage;
    const frozen = Promise.withResolvers<void>();
    const woken = Promise.withResolvers<void>();
    let creations = 0;
    leader.line.treat = (request) => {
      if (!isPodCreation(request)) return { kind: "pass" };
      creations += 1;
      if (creations === 1) return { kind: "break-in-the-middle", until: woken.promise };
      return { kind: "hold", until: frozen.promise };
    };
    const bots = await createBots(stage);
    await until("many writes are on their way", () => creations > 20);
    leader.process.signal("SIGSTOP");
    const frozenMs = performance.now();
    frozen.resolve(); // what was sent arrives; the answers wait for the process
    await takesOver(stage, frozenMs);
    await hasPods(stage, bots);

    await sleep(frozenMs + GONE_MS - performance.now());
    const wokenMs = performance.now();
    leader.process.signal("SIGCONT");
    woken.resolve();
    expect(await leader.process.exited()).toBe(1);
    leader.process.start(); // as the kubelet does
    await standsBy(stage);
    expect(leader.writesSince(wokenMs)).toEqual([]);
    neverTwoWriters(stage);
    expect(standby.process.running).toBe(true);
  },
);

function isPodCreation({ method, path }: Passed): boolean {
  return method === "POST" && path.endsWith("/pods");
}

/** The standby acts in time, on what it knew all along. */
async function takesOver({ standby }: Stage, lostMs: number): Promise<void> {
  const work = () => standby.writesSince(lostMs).find(isWork);
  await until("the standby acts", () => work() !== undefined);
  expect((work()?.atMs ?? Infinity) - lostMs).toBeLessThan(LEASE_MS + 2_000);
  expect(standby.listsSince(lostMs)).toEqual([]);
}

async function hasPods({ platform }: Stage, bots: readonly string[]): Promise<void> {
  const names = async () => {
    const pods = await platform.client.list(PODS, { namespace: NAMESPACE });
    return pods.map(({ metadata }) => metadata?.name ?? "").toSorted();
  };
  await until("every bot has its pod", async () => (await names()).length >= bots.length);
  expect(await names()).toEqual(bots.toSorted());
}

/** The former leader is a standby that knows the cluster and leaves the work to the other. */
async function standsBy({ leader, standby }: Stage): Promise<void> {
  await until("the first follows", () => leader.process.hasSaid("following the cluster"));
  expect(await leader.isReady()).toBe(true);
  expect([await leader.leads(), await standby.leads()]).toEqual([false, true]);
}

/** All that the one wrote was stored before the other took the lease. */
function neverTwoWriters({ leader, standby }: Stage): void {
  const taken = standby.acquisition;
  expect(taken?.revision).toBeGreaterThan(0);
  const late = leader.line.passed.filter(
    ({ method, revision }) => method !== "GET" && (revision ?? 0) > (taken?.revision ?? 0),
  );
  expect(late).toEqual([]);
  expect(leader.writesSince(taken?.atMs ?? 0).filter(isWork)).toEqual([]);
  expect(leader.line.passed.filter(isWork).length).toBeGreaterThan(0);
}
