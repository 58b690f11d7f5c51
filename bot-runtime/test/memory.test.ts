import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { botNodeFlags } from "../../hack/images/bot-node-flags.ts";
import { bundle } from "../../hack/images/bundle.ts";
import { createWorld, endWorld, untilTrading } from "./world.ts";

/**
 * A guard against growth over few candles, in MiB of resident memory: `make bench-bot` measures 10,000 of them against the aims
 * of 95 MB with an exchange library and 60 MB without.
 */
const BUDGET_MIB = { live: 88, paper: 64 };
const CANDLES = 600;

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "bundle-"));
  const entries = {
    bot: "bot-runtime/src/bot/main.ts",
    "exchange-bybit": "bot-runtime/src/exchange/bybit-ccxt.ts",
  };
  await bundle({ entries, small: true }, directory);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test.each(["live", "paper"] as const)(
  "a bundled %s bot stays small while it trades",
  async (mode) => {
    const accountName = mode === "paper" ? null : "acct-aaaaaaaaaaaaaaaaaaaa";
    const world = await createWorld({
      program: [...botNodeFlags(mode), join(directory, "bot.mjs")],
      config: { mode, accountName },
    });
    try {
      await world.bot.start("pod-1");
      await untilTrading(world);
      for (let candle = 0; candle < CANDLES; candle += 1) {
        world.exchange.control.step(1);
        await sleep(10);
      }
      const mebibytes = (await world.bot.residentBytes()) / 1_048_576;
      process.stdout.write(`resident memory of a ${mode} bot: ${mebibytes.toFixed(1)} MiB\n`);
      expect(mebibytes).toBeLessThan(BUDGET_MIB[mode]);
      expect(world.journal.trades.length).toBeGreaterThan(0);
    } finally {
      await endWorld(world);
    }
  },
);
