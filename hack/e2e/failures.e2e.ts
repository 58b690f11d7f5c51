import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { z } from "zod";
import { Decimal } from "decimal.js";
import { eventually } from "../platform/eventually.ts";
import { closeByHand, removeStop } from "./exchange-client.ts";
import {
  BUSY,
  conditionOf,
  HOLDING,
  kubectl,
  newTrader,
  OPENING_BALANCE,
  openPosition,
  podsOf,
  positionsOf,
  runningBot,
  simulator,
  stopFlat,
  type Trader,
} from "./trader.ts";

const SYSTEM = "tradingbots";
const COMPONENTS = ["operator", "api", "journal"] as const;
const TICK = "0.01";
const OUTAGE_MS = 8_000;
/** Resyncs and periodic work of the operator would show within this time. */
const REST_MS = 20_000;

afterEach(async () => {
  for (const component of COMPONENTS) await scale(component, 1);
});

test("a pod deleted by hand is replaced by exactly one, and no order is doubled", async () => {
  const trader = await newTrader("deleted");
  const bot = await runningBot(trader, HOLDING);
  const position = await openPosition(trader);
  const [before] = await podsOf(trader, bot.id);
  const ordersBefore = (await simulator.account(trader.apiKey)).orders.length;

  await kubectl.run(["delete", "pod", bot.id, "-n", trader.namespace, "--wait=false"]);
  await eventually({
    what: "another pod is ready",
    withinMs: 60_000,
    probe: async () => {
      const pods = await podsOf(trader, bot.id);
      expect(pods.length).toBeLessThanOrEqual(1);
      if (pods.length === 0 || pods[0]?.metadata.uid === before?.metadata.uid) return undefined;
      return (await trader.client.bot(bot.id)).status.ready || undefined;
    },
    otherwise: async () => JSON.stringify(await trader.client.bot(bot.id), undefined, 1),
  });
  await sleep(3_000);

  const after = await simulator.account(trader.apiKey);
  expect(after.orders.length).toBe(ordersBefore);
  const { symbol, size, entryPrice } = position;
  const held = await positionsOf(trader);
  expect(held).toMatchObject([{ symbol, size, entryPrice }]);
  // Whichever of the two pods came to move it from where the entry had it to where the fill wants it.
  const wanted = new Decimal(entryPrice ?? NaN).times(1 - HOLDING.risk.stopLossPercent / 100);
  expect(
    wanted
      .minus(held[0]?.stopLoss ?? NaN)
      .abs()
      .lte(TICK),
  ).toBe(true);
  await stopFlat(trader, bot.id);
});

test("pods that are deleted while they trade neither double an order nor lose one", async () => {
  const trader = await newTrader("churn");
  const bot = await runningBot(trader, BUSY);
  for (let round = 0; round < 3; round += 1) {
    await openPosition(trader);
    const [before] = await podsOf(trader, bot.id);
    await kubectl.run(["delete", "pod", bot.id, "-n", trader.namespace, "--wait=false"]);
    await eventually({
      what: "another pod trades",
      withinMs: 60_000,
      probe: async () => {
        const [pod] = await podsOf(trader, bot.id);
        if (pod === undefined || pod.metadata.uid === before?.metadata.uid) return undefined;
        return (await trader.client.bot(bot.id)).status.ready || undefined;
      },
      otherwise: async () => JSON.stringify(await trader.client.bot(bot.id), undefined, 1),
    });
  }
  await stopFlat(trader, bot.id);

  const { executions, wallet } = await simulator.account(trader.apiKey);
  // Long only: a second purchase before the sale would be a doubled order.
  const sides = executions.map(({ side }) => side);
  expect(sides).toEqual(sides.map((_, index) => (index % 2 === 0 ? "Buy" : "Sell")));
  const earned = new Decimal(wallet.balance).minus(OPENING_BALANCE).toFixed();
  await eventually({
    what: `the results of all trades add up to ${earned}`,
    withinMs: 20_000,
    probe: async () => {
      const trades = await trader.client.trades(bot.id);
      const sum = trades.reduce((total, { pnl }) => total.plus(pnl ?? 0), new Decimal(0));
      return sum.toFixed() === earned || undefined;
    },
    otherwise: async () => JSON.stringify(await trader.client.trades(bot.id)),
  });
});

test("an operator that is killed and starts again changes nothing and writes nothing", async () => {
  const trader = await newTrader("restart");
  const bot = await runningBot(trader, HOLDING);
  await openPosition(trader);
  await simulator.setSpeed(0);
  try {
    await eventually({
      what: "the operator is at rest",
      withinMs: 60_000,
      probe: async () => {
        const seen = await versions();
        await sleep(5_000);
        return (await versions()) === seen || undefined;
      },
    });
    const before = await versions();
    const leader = await leaderOf();
    await kubectl.run([
      "delete",
      "pod",
      "-n",
      SYSTEM,
      "-l",
      "app.kubernetes.io/component=operator",
      "--grace-period=0",
      "--force",
    ]);
    await kubectl.run([
      "rollout",
      "status",
      "deployment/tradingbots-operator",
      "-n",
      SYSTEM,
      "--timeout=60s",
    ]);
    await eventually({
      what: "the new operator leads",
      withinMs: 60_000,
      probe: async () => (await leaderOf()) !== leader || undefined,
    });
    await sleep(REST_MS);
    expect(await versions()).toBe(before);
    expect(await podsOf(trader, bot.id)).toHaveLength(1);
  } finally {
    await simulator.setSpeed(Number(process.env["E2E_CANDLES_PER_SECOND"]));
  }
  // At rest, not dead: it still acts.
  await stopFlat(trader, bot.id);
});

/** Where a bot with the limits of HOLDING keeps the stop of a long position in ETH. */
function stopOfHolding(entryPrice: string | null): string {
  const share = 1 - HOLDING.risk.stopLossPercent / 100;
  return new Decimal(entryPrice ?? 0).times(share).toDecimalPlaces(2).toFixed();
}

test.for(COMPONENTS)(
  "with the %s down a bot goes on protecting its position",
  async (component) => {
    const trader = await newTrader(`no-${component}`);
    const bot = await runningBot(trader, HOLDING);
    const position = await openPosition(trader);
    await scale(component, 0);

    await removeStop(trader, position.symbol);
    // The entry carries it from the last price; the bot moves it to the fill.
    const wanted = stopOfHolding(position.entryPrice);
    const restored = await eventually({
      what: "the bot puts the stop back that somebody removed, where the fill wants it",
      withinMs: 10_000,
      probe: async () => {
        const stopLoss = (await positionsOf(trader))[0]?.stopLoss;
        return stopLoss === wanted ? stopLoss : undefined;
      },
      otherwise: async () => `${wanted} ${JSON.stringify(await positionsOf(trader))}`,
    });
    expect(restored).toBe(wanted);

    // Its owner closes the position; the strategy would enter again at once.
    await closeByHand(trader, position.symbol, position.size);
    if (component === "journal") await expectNoEntry(trader);
    else await expectEntryWithStop(trader);

    await scale(component, 1);
    await eventually({
      what: "the bot is ready and trades",
      withinMs: 60_000,
      probe: async () => {
        const current = await trader.client.bot(bot.id);
        const trading = conditionOf(current, "Trading")?.status === "True";
        return (current.status.ready && trading) || undefined;
      },
      otherwise: async () => JSON.stringify(await trader.client.bot(bot.id), undefined, 1),
    });
    await expectEntryWithStop(trader);
    await stopFlat(trader, bot.id);
    await eventually({
      what: "everything that happened is told",
      withinMs: 20_000,
      probe: async () => {
        const { executions } = await simulator.account(trader.apiKey);
        const trades = await trader.client.trades(bot.id);
        const closed = trades.filter((trade) => trade.closedAt !== null);
        return (
          closed.length === executions.filter(({ side }) => side === "Buy").length || undefined
        );
      },
      otherwise: async () => JSON.stringify(await trader.client.trades(bot.id)),
    });
  },
);

async function expectEntryWithStop(trader: Trader): Promise<void> {
  const position = await openPosition(trader);
  expect(Number(position.stopLoss), JSON.stringify(position)).toBeGreaterThan(0);
}

/** Without the journal nothing is opened: many candles pass, each of which would be a signal. */
async function expectNoEntry(trader: Trader): Promise<void> {
  await eventually({
    what: "the position is closed",
    withinMs: 10_000,
    probe: async () => (await positionsOf(trader)).length === 0 || undefined,
  });
  const { executions } = await simulator.account(trader.apiKey);
  await sleep(OUTAGE_MS);
  expect((await simulator.account(trader.apiKey)).executions).toHaveLength(executions.length);
}

const Lease = z.object({ spec: z.object({ holderIdentity: z.string() }) });

async function leaderOf(): Promise<string> {
  const lease = await kubectl.json(["get", "lease", "tradingbots-operator", "-n", SYSTEM]);
  return Lease.parse(lease).spec.holderIdentity;
}

async function scale(component: (typeof COMPONENTS)[number], replicas: number): Promise<void> {
  const deployment = `deployment/tradingbots-${component}`;
  await kubectl.run(["scale", deployment, "-n", SYSTEM, `--replicas=${replicas}`]);
  if (replicas > 0) {
    await kubectl.run(["rollout", "status", deployment, "-n", SYSTEM, "--timeout=60s"]);
    return;
  }
  const selector = `app.kubernetes.io/component=${component}`;
  await kubectl.run(["wait", "--for=delete", "pod", "-n", SYSTEM, "-l", selector, "--timeout=60s"]);
}

const Versions = z.object({
  items: z.array(
    z.looseObject({
      kind: z.string(),
      metadata: z.looseObject({ name: z.string(), uid: z.string(), resourceVersion: z.string() }),
    }),
  ),
});

/** Name, uid and resource version of everything the operator may write, but for its own lease. */
async function versions(): Promise<string> {
  const kinds = "tradingbots,exchangeaccounts,tradinghalts,botclasses,serviceaccounts,pods";
  const lists = [];
  for (const bucket of ["00", "01", "02", "03"]) {
    lists.push(Versions.parse(await kubectl.json(["get", kinds, "-n", `tradingbots-${bucket}`])));
  }
  return lists
    .flatMap((list) => list.items)
    .map(
      ({ kind, metadata }) =>
        `${kind}/${metadata.name} ${metadata.uid} ${metadata.resourceVersion}`,
    )
    .toSorted()
    .join("\n");
}
