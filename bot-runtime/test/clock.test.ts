import { afterEach, describe, expect, test } from "vitest";
import {
  type ExchangeSimulator,
  startExchangeSimulator,
} from "../../hack/exchange-simulator/server.ts";
import { createExchange } from "../src/exchange/bybit-ccxt.ts";
import { price, quantity } from "../src/money.ts";
import { FaultProxy } from "./fault-proxy.ts";
import {
  accountOf,
  changeState,
  createWorld,
  CREDENTIALS,
  endWorld,
  playUntil,
  SYMBOL,
  until,
  untilTrading,
  type World,
} from "./world.ts";

const SKEW_MS = 90_000;

let world: World | undefined;
const simulators: ExchangeSimulator[] = [];
const proxy = new FaultProxy();

afterEach(async () => {
  if (world !== undefined) await endWorld(world);
  world = undefined;
  for (const simulator of simulators.splice(0)) await simulator.close();
});

describe("the exchange's clock differs from the node's", () => {
  test.each([
    ["ahead by 90 s", SKEW_MS],
    ["behind by 90 s", -SKEW_MS],
  ])("%s: entry, fills, exit, flat", async (_name, skewMs) => {
    const it = await createWorld({ simulator: { skewMs } });
    world = it;
    await it.bot.start("pod-1");
    await untilTrading(it);
    await playUntil(it, "a trade is open", () => it.journal.trades.length > 0);
    await changeState(it, "Stopped");
    await until("the bot has ended", () => {
      it.exchange.control.step(1);
      return !it.bot.running;
    });
    expect(await it.bot.termination()).toMatchObject({ flat: true });
    const { positions, executions } = accountOf(it);
    expect(positions.filter(({ size }) => size !== "0")).toEqual([]);
    expect(it.journal.ofType("fill").length).toBe(executions.length);
    expect(it.journal.trades.every(({ closedAt }) => closedAt !== null)).toBe(true);
  });
});

async function simulatorWithSkew(skewMs: number): Promise<ExchangeSimulator> {
  const simulator = await startExchangeSimulator({ speed: "lockstep", skewMs });
  simulators.push(simulator);
  simulator.control.addKey({ ...CREDENTIALS, balance: "10000" });
  simulator.control.step(1);
  return simulator;
}

function clientAt(restUrl: string) {
  return createExchange({
    key: { reveal: () => CREDENTIALS, scrub: (text) => text },
    testnet: false,
    restUrl,
  });
}

const order = {
  symbol: SYMBOL,
  clientOrderId: "11111111-1111-8111-8111-111111111111",
  side: "buy",
  quantity: quantity("0.002"),
  stopLoss: price("50000"),
  takeProfit: price("200000"),
} as const;

test("a clock that is set while the bot runs: one refusal, then every request has the right time", async () => {
  const [before, after] = [await simulatorWithSkew(0), await simulatorWithSkew(SKEW_MS)];
  const client = clientAt(await proxy.start(before.url));
  try {
    await client.prepare([SYMBOL]);
    await client.position(SYMBOL);
    proxy.target = after.url;
    await expect(client.position(SYMBOL)).rejects.toMatchObject({
      fault: "Unavailable",
      code: "10002",
    });
    // Measured in the background: nothing is opened meanwhile, and an exit does not wait for it.
    expect(client.clock()).toBeUndefined();
    await client.prepare([SYMBOL]);
    await until("the clock is measured again", () => client.clock() !== undefined);
    expect(client.clock()?.skewMs).toBeCloseTo(-SKEW_MS, -3);
    expect((await client.submitEntry(order)).kind).toBe("accepted");
    after.control.step(1);
    const { held } = await client.position(SYMBOL);
    expect(held?.quantity.toFixed()).toBe("0.002");
    const exit = { ...order, clientOrderId: "by-hand", side: "sell" } as const;
    expect((await client.submitExit(exit)).kind).toBe("accepted");
  } finally {
    await proxy.close();
  }
});

test("an entry that is sent long after its decision is refused by its time", async () => {
  const client = clientAt((await simulatorWithSkew(SKEW_MS)).url);
  await client.prepare([SYMBOL]);
  expect(await client.submitEntry({ ...order, madeMs: Date.now() - 6_000 })).toMatchObject({
    kind: "refused",
    code: "10002",
  });
  expect((await client.submitEntry({ ...order, madeMs: Date.now() - 3_000 })).kind).toBe(
    "accepted",
  );
});
