import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Exchange, HeldPosition } from "../exchange/exchange.ts";
import { amount, price, quantity } from "../money.ts";
import {
  exampleExecution,
  exampleSession,
  exampleTrade,
  OTHER_SYMBOL,
  startExampleBot,
  SYMBOL,
} from "./example-bot.ts";

vi.mock("node:timers/promises", () => ({
  setTimeout: (ms: number) => new Promise((resolve) => void setTimeout(resolve, ms)),
}));

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Lets `ms` pass and whatever waits for it happen. */
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const never = async (): Promise<never> => new Promise(() => undefined);

const held: HeldPosition = {
  symbol: SYMBOL,
  side: "long",
  quantity: quantity("1"),
  entryPrice: price("100"),
  unrealisedPnl: amount("0"),
  stopLoss: price("99"),
  takeProfit: price("102"),
  liquidationPrice: undefined,
};

const halt = (action: "CancelOrders" | "Flatten", symbols: string[] | null) => ({
  halts: [{ name: "everything", uid: "u", action, symbols }],
  generation: 2,
});

/** A bot that holds a position which the journal remembers. */
async function holdingBot(exchange: Partial<Exchange> = {}) {
  const submitExit = vi.fn<Exchange["submitExit"]>(async () => ({
    kind: "accepted",
    exchangeOrderId: "x",
  }));
  const it = startExampleBot({ exchange: { submitExit, ...exchange } });
  const trade = exampleTrade(SYMBOL);
  it.shown.held = held;
  it.shown.executions = [exampleExecution("buy", { clientOrderId: trade.id })];
  it.grantSession({ ...exampleSession, openTrades: [trade] });
  await pass(1_000);
  expect(it.lastReport()).toMatchObject({ flat: false, protected: true });
  return { ...it, submitExit, trade };
}

describe("a Flatten closes within a second", () => {
  test("while candles, balance and the day's beginning never come", async () => {
    const { bot, config, submitExit } = await holdingBot({ candles: never, balance: never });
    bot.applyConfig({ ...config, ...halt("Flatten", null) });
    await pass(1_000);
    expect(submitExit).toHaveBeenCalledTimes(1);
  });

  test("on its symbols, and on no other", async () => {
    const { bot, config, submitExit } = await holdingBot();
    bot.applyConfig({ ...config, ...halt("Flatten", [OTHER_SYMBOL]) });
    await pass(5_000);
    expect(submitExit).not.toHaveBeenCalled();
    bot.applyConfig({ ...config, ...halt("Flatten", [SYMBOL]), generation: 3 });
    await pass(1_000);
    expect(submitExit).toHaveBeenCalledTimes(1);
  });

  test("soon after the exchange was unavailable", async () => {
    let down = false;
    const { bot, config, submitExit } = await holdingBot({
      position: async () => {
        if (down)
          throw Object.assign(new Error("down"), {
            name: "ExchangeFault",
            fault: "Unavailable",
            code: "503",
          });
        return { leverage: 10, held };
      },
    });
    down = true;
    await pass(60_000);
    down = false;
    bot.applyConfig({ ...config, ...halt("Flatten", null) });
    await pass(3_000);
    expect(submitExit).toHaveBeenCalledTimes(1);
  });
});

describe("an order that shows a stop without a position", () => {
  const stray = {
    clientOrderId: undefined,
    exchangeOrderId: "stop-1",
    side: "sell",
    quantity: quantity("1"),
    filledQuantity: quantity("0"),
    status: "open",
    isProtection: true,
    createdMs: 0,
  } as const;

  test("is cancelled where a position of the bot's has ended", async () => {
    const cancelPlaced = vi.fn<Exchange["cancelPlaced"]>(async () => ({
      kind: "accepted",
      exchangeOrderId: "stop-1",
    }));
    const it = await holdingBot({ cancelPlaced });
    it.shown.executions = [
      ...it.shown.executions,
      exampleExecution("sell", { cause: "target", atMs: 1 }),
    ];
    it.shown.held = undefined;
    it.shown.orders = [stray];
    await pass(60_000);
    expect(cancelPlaced).toHaveBeenCalledWith({ symbol: SYMBOL, exchangeOrderId: "stop-1" });
  });

  test("is left alone where the bot never had one", async () => {
    const cancelPlaced = vi.fn<Exchange["cancelPlaced"]>();
    const it = startExampleBot({ exchange: { cancelPlaced } });
    it.shown.orders = [stray];
    it.grantSession();
    await pass(120_000);
    expect(cancelPlaced).not.toHaveBeenCalled();
  });
});

test("a key of another account: what the journal remembers is unknown, and nothing is closed", async () => {
  const submitExit = vi.fn<Exchange["submitExit"]>();
  const it = startExampleBot({
    exchange: { submitExit },
    config: { exchangeAccountId: "another", state: "Stopped" },
  });
  it.shown.held = held;
  it.grantSession({ ...exampleSession, openTrades: [exampleTrade(SYMBOL)] });
  await pass(60_000);
  expect(it.lastReport()?.flat).toBe(false);
  expect(it.lastReport()?.blocked.map(({ reason }) => reason)).toContain("PositionUnknown");
  expect(submitExit).not.toHaveBeenCalled();
});
