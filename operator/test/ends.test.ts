import { BotConfig } from "@tradingbots/crds";
import {
  EVENTS,
  isNotFound,
  KubernetesError,
  NAMESPACES,
  PODS,
  type Resource,
} from "@tradingbots/kube";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startControllers } from "../../hack/control-plane/controllers.ts";
import { BOT_CLASSES, EXCHANGE_ACCOUNTS, TRADING_BOTS, TRADING_HALTS } from "../src/resources.ts";
import {
  botClass,
  NAMESPACE,
  type OperatorUnderTest,
  type Platform,
  startOperator,
  startPlatform,
} from "./platform.ts";
import { becomeReady, eventually, HOLDING, runningBot, verifiedAccount } from "./scenes.ts";

/** Ends that nobody planned: dead machines, refused keys, deletions from outside. Kubernetes' own controllers delete here. */

let platform: Platform;
let under: OperatorUnderTest;
let controllers: { stop(): Promise<void> };

beforeAll(async () => {
  platform = await startPlatform();
  controllers = await startControllers(platform, [
    "garbage-collector-controller",
    "namespace-controller",
  ]);
});
afterAll(async () => {
  await controllers?.stop();
  await platform?.stop();
});
beforeEach(async () => {
  under = await startOperator(platform);
});
afterEach(async () => {
  await under.stop();
  await clear(TRADING_BOTS);
  await clear(EXCHANGE_ACCOUNTS);
  for (const { metadata } of await platform.client.list(PODS, { namespace: NAMESPACE })) {
    await platform.kill(metadata?.name ?? "");
  }
});

async function clear(
  resource: Resource<{ metadata: { name: string; namespace?: string | undefined } }>,
): Promise<void> {
  for (const { metadata } of await platform.client.list(resource)) {
    const body = { metadata: { finalizers: null } };
    await platform.client.patch(resource, metadata, { type: "merge", body }).catch(ignoreMissing);
    await platform.client.remove(resource, metadata);
  }
}

function ignoreMissing(error: unknown): void {
  if (!isNotFound(error)) throw error;
}

/** Makes the operator look, as its own timer would. */
async function touch(name: string): Promise<void> {
  const body = { metadata: { annotations: { touched: String(performance.now()) } } };
  await platform.client.patch(TRADING_BOTS, at(name), { type: "merge", body });
}

const at = (name: string) => ({ namespace: NAMESPACE, name });
const uidOf = async (name: string) => (await platform.pod(name))?.metadata?.uid;
const conditionOf = async (name: string, type: string) => (await platform.conditionsOf(name))[type];

async function holdingBot(spec: Record<string, unknown> = {}) {
  const bot = await runningBot({ platform, under }, spec);
  await platform.bind(bot.name);
  under.report(bot.name, bot.uid, HOLDING);
  await eventually(() => conditionOf(bot.name, "Flat")).toBe("False PositionOpen");
  return bot;
}

/** The user's confirmation, of the position that is unknown now. */
async function giveUp(name: string): Promise<void> {
  const unknown = (await platform.bot(name))?.status?.conditions?.find(
    ({ type }) => type === "PositionUnknown",
  );
  await platform.patch(TRADING_BOTS, name, { abandonPosition: unknown?.lastTransitionTime });
}

describe("a dead machine", () => {
  test("has its pod given up once the bot's lease has run out, and exactly one follows", async () => {
    const { name, uid } = await holdingBot();
    under.leases.set(name, 400);
    await platform.client.remove(PODS, at(name)); // as the taint manager does
    await eventually(() => platform.ready(name)).toBe("False Replacing");
    under.writes.length = 0;
    await under.settle();
    expect(await uidOf(name)).toBe(uid);

    under.skip(61_000);
    await touch(name);
    await eventually(() => platform.ready(name)).toBe("False NodeLost");
    expect(await conditionOf(name, "PodReady")).toBe("False NodeLost");
    await under.settle();
    // It may live, cut off from the cluster alone: its lease is renewed.
    expect(await uidOf(name)).toBe(uid);
    under.leases.delete(name);
    await eventually(async () => (await uidOf(name)) ?? uid).not.toBe(uid);
    await under.settle();
    expect(under.writes.filter((write) => write === "POST pods")).toHaveLength(1);
    await becomeReady({ platform, under }, name);
  });

  test("keeps its pod while the journal does not say whether the lease is over", async () => {
    const { name, uid } = await holdingBot();
    under.leases.set(name, Number.NaN);
    await platform.client.remove(PODS, at(name));
    under.skip(61_000);
    await touch(name);
    await eventually(() => platform.ready(name)).toBe("False NodeLost");
    await touch(name);
    await eventually(async () => under.leaseFailures()).toBeGreaterThan(1);
    expect(await uidOf(name)).toBe(uid);
    under.leases.delete(name);
    await touch(name);
    await eventually(async () => (await uidOf(name)) ?? uid).not.toBe(uid);
  });
});

describe("a position that nobody can look at", () => {
  test("because the exchange refuses the key: its bot ends when its owner gives it up", async () => {
    const accountName = await verifiedAccount({ platform, under });
    const { name, uid } = await holdingBot({ accountName });
    await expect(giveUpAt(name, "2026-01-01T00:00:00Z")).rejects.toThrow("PositionUnknown");
    under.report(name, uid, {
      ...HOLDING,
      blocked: [{ reason: "CredentialsRefused", message: "The exchange refuses the key." }],
      trading: false,
    });
    await eventually(() => conditionOf(name, "PositionUnknown")).toBe("True CredentialsRefused");
    expect(await conditionOf(name, "CredentialsReady")).toBe("False CredentialsRefused");
    await platform.patch(TRADING_BOTS, name, { state: "Retired" });
    await eventually(() => platform.ready(name)).toBe("False CredentialsRefused");
    await under.settle();
    expect(await uidOf(name)).toBe(uid);

    await expect(giveUpAt(name, "2026-01-01T00:00:00Z")).rejects.toThrow("PositionUnknown");
    await giveUp(name);
    await eventually(
      async () => (await platform.pod(name))?.metadata?.deletionTimestamp,
    ).toBeDefined();
    expect(await conditionOf(name, "Flat")).toBe("True Abandoned");
    under.skip(61_000); // and its machine is dead
    await touch(name);
    await eventually(() => platform.bot(name)).toBeUndefined();
    expect(await platform.pod(name)).toBeUndefined();
  });

  test("because its class is gone: given up, it can be started anew, and that confirms nothing more", async () => {
    await platform.client.create(BOT_CLASSES, botClass("passing", "bot:1"));
    const { name } = await holdingBot({ className: "passing" });
    await platform.client.remove(BOT_CLASSES, { name: "passing" });
    await platform.kill(name);
    await platform.patch(TRADING_BOTS, name, { state: "Stopped" });
    await eventually(() => conditionOf(name, "PositionUnknown")).toBe("True ClassNotFound");
    expect(await platform.ready(name)).toBe("False ClassNotFound");
    await giveUp(name);
    await eventually(() => platform.ready(name)).toBe("False Stopped");
    expect(await conditionOf(name, "Flat")).toBe("True Abandoned");
    const events = await platform.client.list(EVENTS, {
      namespace: NAMESPACE,
      fieldSelector: `regarding.name=${name}`,
    });
    expect(events.map(({ reason }) => reason)).toEqual(
      expect.arrayContaining(["PositionUnknown", "PositionAbandoned"]),
    );
    const writes = await under.settle();
    await touch(name);
    expect(await under.settle()).toBe(writes);

    await platform.client.create(BOT_CLASSES, botClass("passing", "bot:1"));
    await platform.patch(TRADING_BOTS, name, { state: "Running" });
    await eventually(() => platform.pod(name)).toBeDefined();
    const uid = await becomeReady({ platform, under }, name);
    under.report(name, uid, { ...HOLDING, generation: 9 });
    await eventually(() => conditionOf(name, "Flat")).toBe("False PositionOpen");
    expect(await conditionOf(name, "PositionUnknown")).toBeUndefined();
    await platform.client.remove(BOT_CLASSES, { name: "passing" });
  });
});

async function giveUpAt(name: string, time: string): Promise<void> {
  await platform.patch(TRADING_BOTS, name, { abandonPosition: time });
}

test("with the journal down only a pod's own last word says that nothing is open", async () => {
  const { name, uid } = await runningBot({ platform, under });
  await platform.patch(TRADING_BOTS, name, { state: "Stopped" });
  await eventually(() => platform.config(name)).toMatchObject({ state: "Stopped" });
  under.setHeard(false);
  // It would be a last word, were it heard.
  under.report(name, uid, { generation: 2, state: "Stopped", flat: true });
  under.skip(60_000);
  await touch(name);
  await under.settle();
  expect(await uidOf(name)).toBe(uid);
  expect(await platform.ready(name)).toBe("False Stopping");

  await platform.end(name, "Succeeded", { flat: true, epoch: 1 });
  await eventually(() => platform.ready(name)).toBe("False Stopped");
  await eventually(() => platform.pod(name)).toBeUndefined();
  expect(await conditionOf(name, "Flat")).toBe("True Closed");
});

test("a position of a class that has left the release is seen to its end, with an image of the release", async () => {
  await platform.client.create(BOT_CLASSES, botClass("gold", "bot:gold"));
  const { name, uid } = await holdingBot({ className: "gold" });
  await under.stop();
  under = await startOperator(platform, { classes: ["free"] });
  under.report(name, uid, HOLDING);
  const state = async () => BotConfig.partial().parse((await platform.config(name)) ?? {}).state;
  await eventually(state).toBe("Paused");
  expect(await conditionOf(name, "Ready")).toBe("False ClassNotInRelease");

  await platform.kill(name); // its machine dies, and the position is left to its stop
  await eventually(async () => (await uidOf(name)) ?? uid).not.toBe(uid);
  const pod = await platform.pod(name);
  expect(pod?.spec?.containers[0]?.image).toBe("bot:1");
  expect(pod?.metadata?.labels?.["tradingbots.dev/class"]).toBe("free");
  expect(await state()).toBe("Paused");
  await under.settle();
  expect(await uidOf(name)).toBe(pod?.metadata?.uid); // and stays: no rollout of its own class takes it

  await platform.patch(TRADING_BOTS, name, { state: "Stopped" });
  await eventually(state).toBe("Stopped");
  await platform.end(name, "Succeeded", { flat: true, epoch: 2 });
  await eventually(() => conditionOf(name, "Flat")).toBe("True Closed");
  await platform.patch(TRADING_BOTS, name, { state: "Running" });
  await eventually(() => conditionOf(name, "Ready")).toBe("False ClassNotInRelease");
  await eventually(() => platform.pod(name)).toBeUndefined();
});

describe("a deletion from outside", () => {
  test("in the foreground takes the pod first; another one closes, and then the bot goes", async () => {
    const { name, uid } = await holdingBot();
    const propagationPolicy = "Foreground";
    await platform.client.remove(TRADING_BOTS, at(name), { propagationPolicy });
    await eventually(
      async () => (await platform.pod(name))?.metadata?.deletionTimestamp,
    ).toBeDefined();
    await platform.kill(name);
    await eventually(async () => (await uidOf(name)) ?? uid).not.toBe(uid);
    expect(await platform.config(name)).toMatchObject({ state: "Retired" });
    await eventually(() => platform.ready(name)).toBe("False Retiring");
    // The collector has done its part, and comes for no pod that is made after that.
    await eventually(async () => (await platform.bot(name))?.metadata.finalizers).toEqual([
      "tradingbots.dev/flat",
    ]);
    await under.settle();
    await eventually(async () => (await platform.pod(name))?.status?.phase).toBe("Pending");
    await platform.end(name, "Succeeded", { flat: true, epoch: 2 });
    await eventually(() => platform.bot(name)).toBeUndefined();
    await eventually(() => platform.pod(name)).toBeUndefined();
  });

  test("that leaves the pod without an owner reaches it all the same, and so does a halt", async () => {
    const { name, uid } = await holdingBot();
    const propagationPolicy = "Orphan";
    await platform.client.remove(TRADING_BOTS, at(name), { propagationPolicy });
    await eventually(async () => (await platform.pod(name))?.metadata?.ownerReferences).toBe(
      undefined,
    );
    await eventually(() => platform.config(name)).toMatchObject({ state: "Retired" });
    expect(await uidOf(name)).toBe(uid);

    const halt = await platform.createHalt({ scope: { type: "bot", value: name } });
    const laggards = [`${NAMESPACE}/${name}`];
    await eventually(async () => (await platform.halt(halt))?.status).toMatchObject({ laggards });
    const halts = [(await platform.halt(halt))?.metadata.uid ?? ""];
    await eventually(() => platform.config(name)).toMatchObject({ halts: [{ uid: halts[0] }] });
    expect((await platform.halt(halt))?.status).toMatchObject({ acknowledged: 0, laggards });
    under.report(name, uid, { ...HOLDING, state: "Retired", trading: false, halts });
    await eventually(async () => (await platform.halt(halt))?.status).toMatchObject({
      acknowledged: 1,
    });
    await platform.client.remove(TRADING_HALTS, { name: halt });

    await platform.end(name, "Succeeded", { flat: true, epoch: 1 });
    await eventually(() => platform.bot(name)).toBeUndefined();
    expect(await platform.pod(name)).toBeUndefined();
  });

  test("that leaves a verify pod without an owner ends it with its account: it holds the key", async () => {
    const account = await platform.createAccount();
    await under.vault.store(NAMESPACE, account);
    const pod = `verify-${account}-v1`;
    await eventually(() => platform.pod(pod)).toBeDefined();
    await platform.bind(pod);
    const orphaned = { metadata: { ownerReferences: null } };
    await platform.client.patch(PODS, at(pod), { type: "merge", body: orphaned });
    await platform.patch(EXCHANGE_ACCOUNTS, account, { state: "Retired" });
    await eventually(
      async () => (await platform.pod(pod))?.metadata?.deletionTimestamp,
    ).toBeDefined();
    expect(await platform.account(account)).toBeDefined();
    await platform.kill(pod);
    await eventually(() => platform.account(account)).toBeUndefined();
  });

  test("of the namespace leaves a bot that says why it stays, and goes when it is given up", async () => {
    const { name } = await holdingBot();
    const { name: flat } = await runningBot({ platform, under }, { symbols: ["ETH/USDT:USDT"] });
    await platform.client.remove(NAMESPACES, { name: NAMESPACE });
    await eventually(
      async () => (await platform.pod(name))?.metadata?.deletionTimestamp,
    ).toBeDefined();
    await platform.kill(name);
    await eventually(() => platform.ready(name)).toBe("False NamespaceEnding");
    await eventually(() => conditionOf(name, "PositionUnknown")).toBe("True NamespaceEnding");
    await expect(platform.createBot()).rejects.toThrow(KubernetesError);
    // Without a word of its pod it is not known to be flat either.
    await eventually(() => conditionOf(flat, "PositionUnknown")).toBe("True NamespaceEnding");
    for (const each of [name, flat]) await giveUp(each);
    await eventually(() => platform.client.get(NAMESPACES, { name: NAMESPACE })).toBeUndefined();
    expect(await platform.bot(name)).toBeUndefined();
  });
});
