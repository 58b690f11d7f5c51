import { setTimeout as sleep } from "node:timers/promises";
import { type KubeClient, KubernetesError, PODS } from "@tradingbots/kube";
import { TRADING_BOTS } from "../../src/resources.ts";
import type { Bystander } from "./bystander.ts";
import type { Node } from "./node.ts";

interface PeopleOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly userId: string;
  readonly bystander: Bystander;
  readonly node: Node;
  readonly random: () => number;
}

const BOTS = 3;
const DEEDS = 12;
/** Between two deeds, at most. */
const PAUSE_MS = 160;

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
] as const;
type Deed = (typeof DEEDS_OF_PEOPLE)[number];

/** Users and administrators, who do what a seed says to a few bots; names of bots that are gone are used again. */
export async function letPeopleAct(options: PeopleOptions): Promise<void> {
  const { random } = options;
  for (let index = 0; index < BOTS; index++) await attempt(options, "create", index);
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

type Act = (options: PeopleOptions, name: string, index: number) => Promise<unknown>;

const ACT: Readonly<Record<Deed, Act>> = {
  create: ({ client, namespace, userId }, name, index) =>
    client.create(TRADING_BOTS, {
      apiVersion: "tradingbots.dev/v1alpha1",
      kind: "TradingBot",
      // As the API makes it; one in three as kubectl does.
      metadata: { namespace, name, finalizers: index === 0 ? [] : ["tradingbots.dev/flat"] },
      spec: {
        userId,
        exchange: "bybit",
        displayName: name,
        mode: "paper",
        className: namespace,
        symbols: ["BTC/USDT:USDT"],
        strategy: { name: "rsi" },
        state: "Running",
      },
    }),
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
};

async function patch({ client, namespace }: PeopleOptions, name: string, spec: object) {
  await client.patch(TRADING_BOTS, { namespace, name }, { type: "merge", body: { spec } });
}
