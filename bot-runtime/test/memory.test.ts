import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { botProcess } from "../../hack/images/bot-node-flags.ts";
import { bundle } from "../../hack/images/bundle.ts";
import { COMPILED, compileAhead } from "../../hack/images/compile-cache.ts";
import { botBundle } from "../../hack/images/images.ts";
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
  await bundle(botBundle, directory);
  await compileAhead(directory, process.getuid?.() ?? 0);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test.each(["live", "paper"] as const)(
  "a bundled %s bot stays small while it trades",
  async (mode) => {
    const accountName = mode === "paper" ? null : "acct-aaaaaaaaaaaaaaaaaaaa";
    const { flags, environment } = botProcess(mode);
    const world = await createWorld({
      program: [...flags, join(directory, "bot.mjs")],
      environment: { ...environment, NODE_COMPILE_CACHE: join(directory, COMPILED) },
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
