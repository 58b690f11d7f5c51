import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle } from "../../hack/images/bundle.ts";
import { createWorld, endWorld, untilTrading } from "./world.ts";

/**
 * A guard against growth, in MiB of resident memory. The aim is 95 with an exchange library and 60 without: what separates
 * the two is how the bundles are made (one copy of shared modules, no second HTTP client), and Node's own http and tls.
 */
const BUDGET_MIB = { live: 105, paper: 92 };
const CANDLES = 600;
/** As in the bot's image: a young generation of 1 MiB costs some collections and saves 15 MB. */
const NODE_FLAGS = ["--max-semi-space-size=1"];

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "bundle-"));
  const entries = {
    bot: "bot-runtime/src/bot/main.ts",
    "exchange-bybit": "bot-runtime/src/exchange/bybit-ccxt.ts",
  };
  await bundle({ entries }, directory);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test.each(["live", "paper"] as const)(
  "a bundled %s bot stays small while it trades",
  async (mode) => {
    const accountName = mode === "paper" ? null : "acct-aaaaaaaaaaaaaaaaaaaa";
    const world = await createWorld({
      program: [...NODE_FLAGS, join(directory, "bot.mjs")],
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
