import { randomBytes, randomUUID } from "node:crypto";
import { afterEach, inject } from "vitest";
import { z } from "zod";
import { eventually } from "../platform/eventually.ts";
import { kubectlFor } from "../platform/kubectl.ts";
import { type Bot, type NewBot, RestClient } from "../platform/rest-client.ts";
import { simulatorClient } from "../platform/simulator-client.ts";

export const platform = inject("platform");
export const simulator = simulatorClient(platform.simulatorUrl);
export const kubectl = await kubectlFor(platform.kubeconfig);

const READY_WITHIN_MS = 60_000;
export const OPENING_BALANCE = "10000";

/** A user with a key at the simulated exchange and a connected, verified account. */
export interface Trader {
  readonly client: RestClient;
  readonly email: string;
  readonly password: string;
  readonly apiKey: string;
  readonly apiSecret: string;
  readonly accountId: string;
  readonly namespace: string;
}

/** Signs up a new user and connects an account of their own, as a person would over REST. */
export async function newTrader(label: string): Promise<Trader> {
  const email = `${label}-${randomUUID()}@example.com`;
  const password = randomBytes(12).toString("base64url");
  const client = await RestClient.register(platform.apiUrl, { email, password });
  const apiKey = `key-${label}-${randomBytes(8).toString("hex")}`;
  const apiSecret = `secret-${randomBytes(16).toString("hex")}`;
  await simulator.addKey({ apiKey, apiSecret, balance: OPENING_BALANCE });
  const { id: accountId } = await client.connectAccount({ apiKey, apiSecret });
  await eventually({
    what: `account ${accountId} is verified`,
    withinMs: READY_WITHIN_MS,
    probe: async () =>
      (await client.account(accountId)).verification.state === "verified" || undefined,
    otherwise: async () => JSON.stringify(await client.account(accountId)),
  });
  const namespace = await namespaceOf("exchangeaccount", accountId);
  return { client, email, password, apiKey, apiSecret, accountId, namespace };
}

const ObjectList = z.object({
  items: z.array(
    z.looseObject({ metadata: z.looseObject({ name: z.string(), namespace: z.string() }) }),
  ),
});

export async function namespaceOf(resource: string, name: string): Promise<string> {
  const list = ObjectList.parse(await kubectl.json(["get", resource, "-A"]));
  const found = list.items.find((item) => item.metadata.name === name);
  if (found === undefined) throw new Error(`no ${resource} ${name}`);
  return found.metadata.namespace;
}

type Behaviour = Pick<NewBot, "strategy" | "risk">;

/** Enters a long position at the first candle and holds it: stop and target are far away. */
export const HOLDING = {
  strategy: {
    name: "rsi",
    params: { period: 14, buyBelow: 99, sellAbove: 99.9, direction: "long" },
  },
  risk: { stopLossPercent: 6, takeProfitPercent: 50, minConfidence: 0, leverage: 5 },
} satisfies Behaviour;

/** Enters at every candle without a position; stop and target are so near that trades end quickly. */
export const BUSY = {
  strategy: HOLDING.strategy,
  risk: {
    stopLossPercent: 0.2,
    takeProfitPercent: 0.2,
    minConfidence: 0,
    dailyLossPercent: 5,
    leverage: 5,
  },
} satisfies Behaviour;

/** Whoever runs a bot: for a paper bot, a user without an account. */
type BotOwner = Pick<Trader, "client"> & Partial<Pick<Trader, "accountId">>;

const started: { readonly owner: BotOwner; readonly botId: string }[] = [];

// Two cores: no test leaves a bot behind that trades beside the next one.
afterEach(async () => {
  for (const { owner, botId } of started.splice(0)) {
    await owner.client.call({ method: "DELETE", path: `/api/bots/${botId}` });
  }
});

/** Creates a bot that trades, and waits until it is ready. */
export async function runningBot(
  owner: BotOwner,
  overrides: Behaviour & Partial<NewBot>,
): Promise<Bot> {
  const bot = await owner.client.createBot({
    displayName: "end to end",
    ...(owner.accountId === undefined ? {} : { accountId: owner.accountId }),
    mode: "testnet",
    symbols: ["ETH/USDT:USDT"],
    timeframe: "1m",
    autoTrade: true,
    state: "Running",
    ...overrides,
  });
  started.push({ owner, botId: bot.id });
  return untilReady(owner, bot.id);
}

export async function untilReady({ client }: BotOwner, botId: string): Promise<Bot> {
  return eventually({
    what: `bot ${botId} is ready`,
    withinMs: READY_WITHIN_MS,
    probe: async () => {
      const current = await client.bot(botId);
      return current.status.ready ? current : undefined;
    },
    otherwise: async () => JSON.stringify(await client.bot(botId), undefined, 1),
  });
}

/** Waits until the simulator shows an open position of the trader. */
export async function openPosition(trader: Trader) {
  return eventually({
    what: "a position is open at the exchange",
    withinMs: 60_000,
    probe: async () => (await positionsOf(trader))[0],
    otherwise: async () => JSON.stringify(await simulator.account(trader.apiKey)),
  });
}

export async function positionsOf(trader: Trader) {
  const { positions } = await simulator.account(trader.apiKey);
  return positions.filter((position) => Number(position.size) > 0);
}

/** Stops the bot over REST and waits until nothing is open at the exchange and its pod is gone. */
export async function stopFlat(trader: Trader, botId: string): Promise<void> {
  await trader.client.command(botId, "stop");
  await untilGone(trader, botId);
}

/** Waits until nothing is open at the exchange and the bot's pod is gone. */
export async function untilGone(trader: Trader, botId: string): Promise<void> {
  await eventually({
    what: `bot ${botId} is flat and its pod gone`,
    withinMs: 60_000,
    probe: async () => {
      if ((await positionsOf(trader)).length > 0) return undefined;
      return (await podsOf(trader, botId)).length === 0 || undefined;
    },
    otherwise: async () => JSON.stringify(await trader.client.bot(botId), undefined, 1),
  });
}

const PodList = z.object({
  items: z.array(
    z.looseObject({
      metadata: z.looseObject({
        name: z.string(),
        uid: z.string(),
        deletionTimestamp: z.string().optional(),
      }),
      spec: z.looseObject({
        serviceAccountName: z.string().optional(),
        initContainers: z.array(z.looseObject({ name: z.string() })).optional(),
      }),
      status: z.looseObject({
        phase: z.string().optional(),
        containerStatuses: z.array(z.looseObject({ restartCount: z.number() })).optional(),
      }),
    }),
  ),
});

export async function podsOf(trader: Pick<Trader, "namespace">, botId: string) {
  const selector = `tradingbots.dev/bot=${botId}`;
  const list = await kubectl.json(["get", "pods", "-n", trader.namespace, "-l", selector]);
  return PodList.parse(list).items;
}

export function conditionOf(bot: Bot, type: string) {
  return bot.status.conditions.find((condition) => condition.type === type);
}
