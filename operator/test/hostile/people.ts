import { setTimeout as sleep } from "node:timers/promises";
import { isAlreadyExists, type KubeClient, KubernetesError, PODS } from "@tradingbots/kube";
import { EXCHANGE_ACCOUNTS, TRADING_BOTS } from "../../src/resources.ts";
import type { FakeVault } from "../fake-vault.ts";
import type { Bystander } from "./bystander.ts";
import type { Node } from "./node.ts";

interface PeopleOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly userId: string;
  readonly bystander: Bystander;
  readonly node: Node;
  readonly vault: FakeVault;
  readonly random: () => number;
  /** The operator has seen the cluster's state and acts. */
  readonly acting: Promise<void>;
}

const BOTS = 3;
const DEEDS = 12;
/** Between two deeds, at most. */
const PAUSE_MS = 160;
/** People create bots whether the operator is there or not; they wait so long for it, or most of a run would be over before it begins. */
const PATIENCE_MS = 15_000;

const DEEDS_OF_PEOPLE = [
  "create",
  "edit",
  "pause",
  "stop",
  "run",
  "run",
  "retire",
  "kubectl delete",
  "delete its pod",
  "kill its process",
  "replace the key",
  "retire the account",
] as const;
type Deed = (typeof DEEDS_OF_PEOPLE)[number];

/** Users and administrators, who do what a seed says to a few bots; names of bots that are gone are used again. */
export async function letPeopleAct(options: PeopleOptions): Promise<void> {
  const { random, acting } = options;
  for (let index = 0; index < BOTS; index++) await attempt(options, "create", index);
  await Promise.race([acting, sleep(PATIENCE_MS, undefined, { ref: false })]);
  for (let count = 0; count < DEEDS; count++) {
    await sleep(random() * PAUSE_MS);
    const deed = DEEDS_OF_PEOPLE[Math.floor(random() * DEEDS_OF_PEOPLE.length)] ?? "run";
    await attempt(options, deed, Math.floor(random() * BOTS));
  }
}

async function attempt(options: PeopleOptions, deed: Deed, index: number): Promise<void> {
  try {
    await ACT[deed](options, nameOf(index), index);
  } catch (error) {
    // Gone, there already, or retired for good: people are told so.
    if (!(error instanceof KubernetesError) || error.status >= 500) throw error;
  }
}

const nameOf = (index: number) => `bot-${String(index).padStart(20, "0")}`;
const ACCOUNT = `acct-${"0".repeat(20)}`;
/** One bot on paper, two with money on one account. */
const isPaper = (index: number) => index === 0;

type Act = (options: PeopleOptions, name: string, index: number) => Promise<unknown>;

const ACT: Readonly<Record<Deed, Act>> = {
  create: async (options, name, index) => {
    if (!isPaper(index)) await connect(options);
    await options.client.create(TRADING_BOTS, newBot(options, name, index));
  },
  edit: (options, name) => {
    const takeProfitPercent = 1 + Math.floor(options.random() * 50) / 10;
    return patch(options, name, { risk: { takeProfitPercent } });
  },
  pause: (options, name) => patch(options, name, { state: "Paused" }),
  stop: (options, name) => patch(options, name, { state: "Stopped" }),
  run: (options, name) => patch(options, name, { state: "Running" }),
  retire: (options, name) => patch(options, name, { state: "Retired" }),
  "kubectl delete": ({ client, namespace }, name) =>
    client.remove(TRADING_BOTS, { namespace, name }),
  "delete its pod": ({ client, namespace }, name) => client.remove(PODS, { namespace, name }),
  "kill its process": async ({ bystander, node }, name) => {
    const uid = bystander.podOf(name)?.metadata?.uid;
    if (uid !== undefined) node.crash(uid);
  },
  "replace the key": async ({ client, namespace, vault }) => {
    const credentialsVersion = await vault.store(namespace, ACCOUNT);
    const body = { spec: { credentialsVersion } };
    await client.patch(EXCHANGE_ACCOUNTS, { namespace, name: ACCOUNT }, { type: "merge", body });
  },
  "retire the account": ({ client, namespace }) => {
    const body = { spec: { state: "Retired" } };
    const key = { namespace, name: ACCOUNT };
    return client.patch(EXCHANGE_ACCOUNTS, key, { type: "merge", body });
  },
};

/** As the API makes it; one in three as kubectl does. */
function newBot({ namespace, userId }: PeopleOptions, name: string, index: number) {
  const venue = isPaper(index) ? { mode: "paper" } : { mode: "live", accountName: ACCOUNT };
  return {
    apiVersion: "tradingbots.dev/v1alpha1",
    kind: "TradingBot",
    metadata: { namespace, name, finalizers: isPaper(index) ? [] : ["tradingbots.dev/flat"] },
    spec: {
      userId,
      exchange: "bybit",
      displayName: name,
      ...venue,
      className: namespace,
      symbols: [index === 1 ? "BTC/USDT:USDT" : "ETH/USDT:USDT"],
      strategy: { name: "rsi" },
      state: "Running",
    },
  };
}

/** The key first, so that it is there when it is looked for; and again when the end of an earlier account took it away meanwhile. */
async function connect({ client, namespace, userId, vault }: PeopleOptions): Promise<void> {
  await vault.store(namespace, ACCOUNT);
  try {
    await client.create(EXCHANGE_ACCOUNTS, {
      apiVersion: "tradingbots.dev/v1alpha1",
      kind: "ExchangeAccount",
      metadata: { namespace, name: ACCOUNT },
      spec: { userId, exchange: "bybit", name: ACCOUNT },
    });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
  if ((await vault.currentVersion(namespace, ACCOUNT)) === undefined) {
    await vault.store(namespace, ACCOUNT);
  }
}

async function patch({ client, namespace }: PeopleOptions, name: string, spec: object) {
  await client.patch(TRADING_BOTS, { namespace, name }, { type: "merge", body: { spec } });
}
