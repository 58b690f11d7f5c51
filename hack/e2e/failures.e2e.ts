import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { z } from "zod";
import { eventually } from "../platform/eventually.ts";
import {
  BUSY,
  conditionOf,
  HOLDING,
  kubectl,
  newTrader,
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
const OUTAGE_MS = 8_000;

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
  expect(await positionsOf(trader)).toMatchObject([
    { symbol: position.symbol, size: position.size, stopLoss: position.stopLoss },
  ]);
  expect(Number(position.stopLoss)).toBeGreaterThan(0);
  await stopFlat(trader, bot.id);
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
    await sleep(20_000);
    expect(await versions()).toBe(before);
    expect(await podsOf(trader, bot.id)).toHaveLength(1);
  } finally {
    await simulator.setSpeed(Number(process.env["E2E_CANDLES_PER_SECOND"]));
  }
  // At rest, not dead: it still acts.
  await stopFlat(trader, bot.id);
});

test.for(COMPONENTS)(
  "with the %s down a bot goes on protecting its position",
  async (component) => {
    const trader = await newTrader(`no-${component}`);
    const bot = await runningBot(trader, BUSY);
    await openPosition(trader);
    await scale(component, 0);

    const endsAt = performance.now() + OUTAGE_MS;
    let seenOpen = 0;
    while (performance.now() < endsAt) {
      for (const position of await positionsOf(trader)) {
        seenOpen += 1;
        expect(Number(position.stopLoss), JSON.stringify(position)).toBeGreaterThan(0);
      }
      await sleep(50);
    }
    expect(seenOpen).toBeGreaterThan(0);
    if (component === "journal") await expectNoEntries(trader);

    await scale(component, 1);
    await eventually({
      what: "the bot is ready and everything it did is told",
      withinMs: 60_000,
      probe: async () => {
        const current = await trader.client.bot(bot.id);
        return (
          (current.status.ready && conditionOf(current, "Trading")?.status === "True") || undefined
        );
      },
      otherwise: async () => JSON.stringify(await trader.client.bot(bot.id), undefined, 1),
    });
    await stopFlat(trader, bot.id);
    const exchange = await simulator.account(trader.apiKey);
    const trades = await trader.client.trades(bot.id);
    const closed = trades.filter((trade) => trade.closedAt !== null);
    expect(closed).toHaveLength(exchange.executions.filter(({ side }) => side === "Buy").length);
  },
);

/** Without the journal no position may be opened once the present one has ended. */
async function expectNoEntries(trader: Trader): Promise<void> {
  await eventually({
    what: "the position ends by its stop or target",
    withinMs: 60_000,
    probe: async () => (await positionsOf(trader)).length === 0 || undefined,
  });
  const { executions } = await simulator.account(trader.apiKey);
  await sleep(4_000);
  expect((await simulator.account(trader.apiKey)).executions).toHaveLength(executions.length);
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
