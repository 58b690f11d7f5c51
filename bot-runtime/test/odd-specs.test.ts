import { afterEach, describe, expect, test } from "vitest";
import type { BotConfig } from "@tradingbots/crds";
import {
  createWorld,
  endWorld,
  playUntil,
  SYMBOL,
  until,
  untilTrading,
  type World,
} from "./world.ts";

/** Specifications that are valid and odd: what the exchange does not list, or nothing can be traded with. No process ends of it. */

const UNLISTED = "FOO/USDT:USDT";
const paper = { mode: "paper", accountName: null } as const;
const MODES: readonly (readonly [string, Partial<BotConfig>])[] = [
  ["paper", paper],
  ["live", {}],
];

let world: World;

afterEach(() => endWorld(world));

async function start(config: Partial<BotConfig>): Promise<void> {
  world = await createWorld({ config });
  await world.bot.start("pod-1");
}

const reasons = () => world.journal.report?.blocked.map(({ reason }) => reason) ?? [];

async function stopped(): Promise<void> {
  await world.bot.configure({ ...world.config, generation: 2, state: "Stopped" });
  expect(await world.bot.exited()).toBe(0);
  expect(await world.bot.termination()).toMatchObject({ flat: true });
}

describe.each(MODES)("a %s bot", (_mode, mode) => {
  test("with nothing but a symbol that is not listed says so, is ready, and ends when it shall", async () => {
    await start({ ...mode, symbols: [UNLISTED] });
    await until("it says what is wrong", () => reasons().includes("SymbolNotTraded"));
    const [first] = world.journal.report?.blocked ?? [];
    expect(first?.message).toMatch(/^bybit does not trade FOO\/USDT:USDT/);
    await until("it is ready", () => world.bot.ready());
    await stopped();
  });

  test("with one such symbol beside a listed one trades the other", async () => {
    await start({ ...mode, symbols: [UNLISTED, SYMBOL] });
    await until("only data is missing besides", () =>
      reasons().every((reason) => ["SymbolNotTraded", "StaleData"].includes(reason)),
    );
    await playUntil(world, "it has traded", () => world.journal.trades.length > 0);
    expect(reasons()).toContain("SymbolNotTraded");
    expect(world.journal.trades.every(({ symbol }) => symbol === SYMBOL)).toBe(true);
    expect(await world.bot.ready()).toBe(true);
  });
});

test("a paper bot whose exchange is away at its start waits for it, counts no fault of its own, and trades then", async () => {
  world = await createWorld({ config: paper });
  const faults = [
    { match: {}, fault: { kind: "http", status: 503, when: "before" }, times: null },
  ] as const;
  world.exchange.control.setFaults([...faults]);
  await world.bot.start("pod-1");
  await until("it says so", () => reasons().includes("ExchangeUnavailable"));
  await until("it is ready", () => world.bot.ready());
  expect(world.journal.report?.consecutiveErrors).toBe(0);
  world.exchange.control.setFaults([]);
  await untilTrading(world);
});

test("a paper bot of as many symbols as there may be, of which one is listed, at 1d", async () => {
  const others = Array.from({ length: 7 }, (_, index) => `FOO${index}/USDT:USDT`);
  await start({ ...paper, symbols: [...others, SYMBOL], timeframe: "1d" });
  await until("it says what is wrong", () => reasons().includes("SymbolNotTraded"));
  await until("it is ready", () => world.bot.ready());
  expect(reasons()).not.toContain("InternalError");
  await stopped();
});
