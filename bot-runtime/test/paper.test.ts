import { Risk } from "@tradingbots/crds";
import { expect, test } from "vitest";
import { createWorld, endWorld, playUntil, until, untilTrading } from "./world.ts";

const TRADES = 4;
/** Only signals open and close: the two runs then meet the same prices whatever their timing. */
const bySignalOnly = {
  strategy: { name: "rsi", params: { buyBelow: 35, sellAbove: 65 } },
  risk: Risk.parse({
    leverage: 2,
    stopLossPercent: 30,
    takeProfitPercent: 30,
    dailyLossPercent: 100,
  }),
};

/** The first trades of a bot over the same candles. */
async function firstTrades(mode: "paper" | "live") {
  const accountName = mode === "paper" ? null : "acct-aaaaaaaaaaaaaaaaaaaa";
  const world = await createWorld({ config: { ...bySignalOnly, mode, accountName } });
  try {
    await world.bot.start("pod-1");
    await untilTrading(world);
    const closed = () => world.journal.trades.filter(({ closedAt }) => closedAt !== null);
    await playUntil(world, "some trades have closed", () => closed().length >= TRADES);
    const trades = closed().slice(0, TRADES);
    return trades.map(({ side, quantity, entryPrice, exitPrice, fees, pnl, reason }) =>
      [side, quantity, entryPrice, exitPrice, fees, pnl, reason].join(" "),
    );
  } finally {
    await endWorld(world);
  }
}

test("a paper bot makes the trades of a live one, to the last decimal", async () => {
  expect(await firstTrades("paper")).toEqual(await firstTrades("live"));
});

test("a paper bot goes on after a restart with the position that it had", async () => {
  const world = await createWorld({
    config: { ...bySignalOnly, mode: "paper", accountName: null },
  });
  try {
    await world.bot.start("pod-1");
    await untilTrading(world);
    await playUntil(
      world,
      "a position is open",
      () => world.journal.report?.positions.length === 1,
    );
    const [trade] = world.journal.trades;
    await world.bot.end("SIGKILL");
    await world.bot.start("pod-2");
    await until(
      "it is reported again",
      () => world.journal.ofType("report").at(-1)?.report.positions.length === 1,
    );
    await playUntil(world, "it has closed", () =>
      world.journal.trades.some(({ id, closedAt }) => id === trade?.id && closedAt !== null),
    );
    const fills = world.journal.ofType("fill").filter(({ tradeId }) => tradeId === trade?.id);
    expect(new Set(fills.map(({ executionId }) => executionId)).size).toBe(2);
  } finally {
    await endWorld(world);
  }
});
