import { Risk } from "@tradingbots/crds";
import { afterEach, expect, test } from "vitest";
import { Decimal } from "../src/money.ts";
import {
  accountOf,
  createWorld,
  endWorld,
  playUntil,
  until,
  untilTrading,
  type World,
  type WorldOptions,
} from "./world.ts";

/** Limits that must outlive a process: kill −9 in the middle, the real program before and after. */

let world: World | undefined;
afterEach(async () => {
  if (world !== undefined) await endWorld(world);
  world = undefined;
});

async function start(options: WorldOptions = {}): Promise<World> {
  world = await createWorld(options);
  await world.bot.start("pod-1");
  await untilTrading(world);
  return world;
}

/** Waits for what the next process says: the last word of the one before is no proof. */
async function killAndRestart({ bot, journal }: World): Promise<void> {
  await bot.end("SIGKILL");
  const last = journal.report?.asOf;
  await bot.start("pod-1");
  await until("the next process reports", () => journal.report?.asOf !== last);
}

const reasons = ({ journal }: World) => journal.report?.blocked.map(({ reason }) => reason) ?? [];
const entries = (given: World) =>
  accountOf(given).orders.filter((order) => order.orderLinkId !== "" && !order.reduceOnly).length;

/** What the bot has made since its day began, by the exchange's own books. */
function madeToday(given: World): string {
  const { equity, initialBalance } = accountOf(given).wallet;
  const startsFrom = given.journal.ofType("day-baseline").at(-1)?.startsFrom ?? "0";
  return new Decimal(equity).minus(initialBalance).minus(startsFrom).toFixed();
}

test("the day's result is the exchange's to the last decimal, also after a kill with an open position", async () => {
  const it = await start();
  it.exchange.control.changeSettings({
    fills: [{ parts: 3, rest: "follows" }],
    fundingRates: { BTCUSDT: "0.0001" },
  });
  const isPaid = () => it.journal.ofType("funding").length > 0;
  const isOpen = () => accountOf(it).positions.length > 0;
  await playUntil(it, "funding was paid and a trade is open", () => isPaid() && isOpen());
  const tellsTheSame = () => it.journal.report?.dayResult === madeToday(it);
  await until("the report says what the exchange says", tellsTheSame);
  const figure = madeToday(it);
  const daysBegun = it.journal.ofType("day-baseline").length;
  expect(new Decimal(figure).isZero()).toBe(false);

  await killAndRestart(it);
  await until("it holds the position", () => it.journal.report?.positions.length === 1);
  await until("the figure is the same", () => it.journal.report?.dayResult === figure);
  expect(madeToday(it)).toBe(figure);
  expect(it.journal.ofType("day-baseline").length).toBe(daysBegun);
  // The balance is asked for anew: the day's trades explain all of it.
  const unexplained = () => it.bot.metric("bot_unexplained_equity");
  await until("the equity is explained", async () => (await unexplained()) === 0);
}, 180_000);

test("a bot that disabled itself stays so after a kill, until its configuration changes", async () => {
  const it = await start({
    config: { risk: Risk.parse({ dailyLossPercent: 100, maxConsecutiveErrors: 2 }) },
  });
  it.exchange.control.setFaults([
    {
      match: { endpoint: "POST /v5/order/create" },
      fault: { kind: "retCode", retCode: 110007, when: "before" },
      times: null,
    },
  ]);
  await playUntil(it, "the bot disables itself", () => reasons(it).includes("Disabled"));
  it.exchange.control.setFaults([]);
  const before = entries(it);

  await killAndRestart(it);
  await until("it is disabled too", () => reasons(it).includes("Disabled"));
  await playUntil(it, "nothing else holds it up", () => reasons(it).join() === "Disabled");
  for (let candle = 0; candle < 50; candle += 1) {
    const dealtWith = (await it.bot.candlesDealtWith()) ?? 0;
    it.exchange.control.step(1);
    await until("it has dealt with a candle", async () => {
      return ((await it.bot.candlesDealtWith()) ?? 0) > dealtWith;
    });
  }
  expect(it.journal.report?.consecutiveErrors).toBe(2);
  expect(entries(it)).toBe(before);

  await it.bot.configure({ ...it.config, generation: 2 });
  await until("it trades again", () => it.journal.report?.trading === true);
  await playUntil(it, "it has entered", () => entries(it) > before);
});
