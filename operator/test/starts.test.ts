import {
  type Pod,
  PODS,
  type Resource,
  SERVICE_ACCOUNTS,
  type ServiceAccount,
} from "@tradingbots/kube";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { BOT_CLASSES, EXCHANGE_ACCOUNTS, TRADING_BOTS } from "../src/resources.ts";
import { kubectlWait } from "./kubectl.ts";
import {
  botClass,
  NAMESPACE,
  type OperatorUnderTest,
  OTHER_USER,
  type Platform,
  startOperator,
  startPlatform,
} from "./platform.ts";

/** Starts on a real API server: of a bot that was paused, and of many bots at once behind Vault's login budget. */

let platform: Platform;
let under: OperatorUnderTest;

beforeAll(async () => {
  platform = await startPlatform();
  await platform.client.create(
    BOT_CLASSES,
    botClass("many", "bot:1", { ceilings: { botsPerUser: 1_000 } }),
  );
});
afterEach(() => under?.stop());
afterAll(() => platform?.stop());

const eventually = <T>(probe: () => Promise<T>) =>
  expect.poll(probe, { timeout: 30_000, interval: 5 });

test("a paused and flat bot has no pod, and is ready within 3 s of being started again", async () => {
  under = await startOperator(platform);
  const name = await platform.createBot();
  await runs(name);
  for (let time = 0; time < 5; time++) {
    await pause(name);
    const startedAt = performance.now();
    await platform.patch(TRADING_BOTS, name, { state: "Running" });
    await runs(name);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  }
});

test("kubectl wait --for=condition=Ready ends once the bot is ready, and not before", async () => {
  under = await startOperator(platform);
  const name = await platform.createBot();
  const ready = { object: `tradingbot/${name}`, condition: "Ready" };
  await eventually(() => platform.pod(name)).toBeDefined();
  const early = kubectlWait(platform, { ...ready, timeout: "1s" });
  await expect(early).rejects.toThrow("timed out waiting for the condition");
  const waiting = kubectlWait(platform, { ...ready, timeout: "30s" });
  await Promise.all([waiting, runs(name)]);
});

async function runs(name: string): Promise<void> {
  await eventually(async () => (await platform.pod(name)) !== undefined).toBe(true);
  const uid = (await platform.pod(name))?.metadata?.uid ?? "";
  const generation = (await platform.bot(name))?.metadata.generation ?? 1;
  under.report(name, uid, { generation });
  await platform.becomeReady(name);
  await eventually(() => platform.ready(name)).toBe("True Running");
}

async function pause(name: string): Promise<void> {
  await platform.patch(TRADING_BOTS, name, { state: "Paused" });
  await platform.end(name, "Succeeded", { flat: true, epoch: 1 });
  await eventually(() => platform.ready(name)).toBe("False Paused");
  await eventually(() => platform.pod(name)).toBeUndefined();
}

describe("with one login a second", () => {
  const BOTS = 16;
  const names = Array.from(
    { length: BOTS },
    (_, index) => `bot-q${String(index).padStart(2, "0")}`,
  );

  test("bots that come back wait in line and say so; a user's start goes before them, paper bots wait for nobody", async () => {
    const accountName = await readyAccount();
    const spec = (index: number) => ({
      accountName,
      className: "many",
      symbols: [`C${index}/USDT:USDT`],
    });
    for (const [index, name] of names.entries()) {
      await platform.createBot({ ...spec(index), state: "Stopped" }, name);
    }
    under = await startOperator(platform, { vaultLoginsPerSecond: 1 });
    await eventually(async () => reasons()).toEqual({ Stopped: BOTS });
    await under.stop();
    // Started while no operator runs, and known to the next one as nothing new.
    for (const name of names) await platform.patch(TRADING_BOTS, name, { state: "Running" });
    for (const name of names) await sayObserved(name);

    under = await startOperator(platform, { vaultLoginsPerSecond: 1 });
    await eventually(queuedMessages).toContainEqual(
      expect.stringMatching(/^About \d+ starts come first/),
    );
    const user = await platform.createBot(spec(BOTS), "bot-user");
    const paper = await platform.createBot(
      { className: "many", symbols: ["D/USDT:USDT"] },
      "bot-paper",
    );
    await eventually(async () => reasons()).toEqual({ Starting: BOTS + 2 });
    const order = await orderOf(PODS, [...names, user, paper]);
    expect(order.indexOf(user)).toBeLessThan(BOTS - 1);
    expect(order.indexOf(paper)).toBeLessThan(BOTS - 1);
    const statusWrites = under.writes.filter((write) =>
      /PUT tradingbots\/bot-q.*status/.test(write),
    );
    expect(statusWrites.length).toBeLessThanOrEqual(2 * BOTS); // one where it waits, one as it starts
  });
});

test("a user with very many bots and accounts keeps nobody else waiting", async () => {
  const spec = { className: "many", symbols: ["E/USDT:USDT"] };
  const bots: string[] = [];
  const accounts: string[] = [];
  // Read in this order, and all there is to do at once.
  for (let bot = 0; bot < 120; bot++) bots.push(await platform.createBot(spec));
  for (let each = 0; each < 40; each++) accounts.push(await platform.createAccount());
  const bot = await platform.createBot({ ...spec, userId: OTHER_USER });
  const account = await platform.createAccount({ userId: OTHER_USER });

  under = await startOperator(platform);
  const pods = orderOf(PODS, [...bots, bot]);
  const serviceAccounts = orderOf(SERVICE_ACCOUNTS, [...accounts, account]);
  expect((await pods).indexOf(bot)).toBeLessThan(60);
  expect((await serviceAccounts).indexOf(account)).toBeLessThan(20);
});

async function queuedBots() {
  const bots = await platform.client.list(TRADING_BOTS, { namespace: NAMESPACE });
  return bots.filter(({ spec }) => spec.className === "many");
}

async function reasons(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { status } of await queuedBots()) {
    const reason = status?.conditions?.find(({ type }) => type === "Ready")?.reason ?? "none";
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}

/** These names in the order in which such objects were made, once all are there: nothing changes one here after that. */
async function orderOf(
  resource: Resource<Pod> | Resource<ServiceAccount>,
  names: readonly string[],
): Promise<readonly string[]> {
  const versions = new Map<string, number>();
  const namespace = { namespace: NAMESPACE };
  await eventually(async () => {
    const found = await platform.client.list<Pod | ServiceAccount>(resource, namespace);
    for (const { metadata } of found) {
      versions.set(metadata?.name ?? "", Number(metadata?.resourceVersion));
    }
    return names.filter((name) => !versions.has(name));
  }).toEqual([]);
  return names.toSorted((a, b) => (versions.get(a) ?? 0) - (versions.get(b) ?? 0));
}

async function queuedMessages(): Promise<readonly string[]> {
  return (await queuedBots())
    .map(({ status }) => status?.conditions?.find(({ type }) => type === "Ready"))
    .filter((ready) => ready?.reason === "StartQueued")
    .map((ready) => ready?.message ?? "");
}

/** An account as the operator leaves it once its key is checked. */
async function readyAccount(): Promise<string> {
  const name = await platform.createAccount();
  const verification = {
    credentialsVersion: 1,
    state: "verified",
    reason: "Verified",
    message: "ok",
    permissions: ["trade"],
    exchangeAccountId: "4711",
    asOf: new Date().toISOString(),
  };
  await statusOf(EXCHANGE_ACCOUNTS, name, { verification, exchangeAccountId: "4711" });
  await platform.client.create(SERVICE_ACCOUNTS, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: {
      namespace: NAMESPACE,
      name,
      labels: { "app.kubernetes.io/managed-by": "tradingbots-operator" },
    },
  });
  return name;
}

async function sayObserved(name: string): Promise<void> {
  const observedGeneration = (await platform.bot(name))?.metadata.generation;
  await statusOf(TRADING_BOTS, name, { observedGeneration });
}

async function statusOf(resource: Resource<unknown>, name: string, status: object): Promise<void> {
  const patch = { type: "merge", body: { status }, subresource: "status" } as const;
  await platform.client.patch(resource, { namespace: NAMESPACE, name }, patch);
}
