import { Decimal } from "decimal.js";
import { expect, test } from "vitest";
import { eventually } from "../platform/eventually.ts";
import { journalOf } from "./database.ts";
import {
  BUSY,
  kubectl,
  newTrader,
  OPENING_BALANCE,
  runningBot,
  simulator,
  stopFlat,
} from "./trader.ts";

const TRADES = 5;

test("trades of a bot agree between exchange, journal and REST to the last decimal", async () => {
  const trader = await newTrader("path");
  const bot = await runningBot(trader, BUSY);
  await eventually({
    what: `${TRADES} trades are closed`,
    withinMs: 120_000,
    probe: async () => {
      const trades = await trader.client.trades(bot.id);
      return trades.filter((trade) => trade.closedAt !== null).length >= TRADES || undefined;
    },
    otherwise: async () => JSON.stringify(await trader.client.bot(bot.id)),
  });
  await stopFlat(trader, bot.id);

  const exchange = await simulator.account(trader.apiKey);
  const journal = await journalOf(bot.id, { fills: exchange.executions.length });
  const trades = await trader.client.trades(bot.id);

  expect(trades.every((trade) => trade.closedAt !== null)).toBe(true);
  expect(new Set(exchange.orders.map((order) => order.orderLinkId).filter(Boolean)).size).toBe(
    exchange.orders.filter((order) => order.orderLinkId !== "").length,
  );
  expect(sum(journal.fills.map((fill) => fill.fee))).toBe(
    sum(exchange.executions.map((execution) => execution.fee)),
  );
  expect(sum(journal.fills.map((fill) => fill.quantity))).toBe(
    sum(exchange.executions.map((execution) => execution.quantity)),
  );
  expect(sum(trades.map((trade) => trade.fees))).toBe(
    sum(exchange.executions.map((execution) => execution.fee)),
  );
  const earned = new Decimal(exchange.wallet.balance).minus(OPENING_BALANCE).toFixed();
  expect(sum(trades.map((trade) => trade.pnl ?? "0"))).toBe(earned);
  expect(sum(journal.trades.map((trade) => trade.pnl ?? "0"))).toBe(earned);
  expect(journal.trades.length).toBe(trades.length);

  const table = await kubectl.run(["get", "tradingbots", "-n", trader.namespace]);
  expect(table.split("\n")[0]?.split(/\s+/)).toEqual(
    "NAME USER EXCHANGE SYMBOLS MODE STATE READY REASON POSITION DAY AGE".split(" "),
  );
  expect(table).toContain(bot.id);
});

function sum(values: readonly string[]): string {
  return values.reduce((total, value) => total.plus(value), new Decimal(0)).toFixed();
}
