import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { measureRecoveries } from "../../bot-runtime/test/crash-points/recovery.ts";
import { createWorld, endWorld, type World } from "../../bot-runtime/test/world.ts";
import type { BotBundle } from "./bot-bundle.ts";
import type { Figure } from "./figure.ts";
import { median, percentile, spread } from "./statistics.ts";

/** The first runs read the files from disk. */
const WARM_UP_RUNS = 3;
const LOOK_EVERY_MS = 2;
const STEP_EVERY_MS = 20;
const LIMIT_MS = 30_000;
const FREQTRADE = "freqtrade 2,600 (published in the issue, not run here)";

/** How long a process takes from its start to its first decision, and with an open position to have it in hand again. */
export async function measureStartUp(bundled: BotBundle, runs: number): Promise<readonly Figure[]> {
  const bare = await bareStartMs();
  const decisions = await firstDecisions(bundled, runs);
  const { restarted, replaced } = await measureRecoveries(runs);
  return [
    {
      key: "first_decision_ms",
      value: median(decisions),
      aim: { most: 400 },
      baseline: `bare node start and end ${bare.toFixed(0)}; ${FREQTRADE}`,
      how: `${spread(decisions)}; median; a live bot with ccxt; the symbol's rules and 1,000 candles are asked for at each start; a candle closes every ${STEP_EVERY_MS} ms`,
    },
    recovery("recover_to_protected_ms_p99", restarted, "the same pod's container"),
    recovery("pod_recover_ms_p99", replaced, "another pod, with nothing of the first"),
  ];
}

function recovery(key: string, samples: readonly number[], what: string): Figure {
  return {
    key,
    value: percentile(samples, 0.99),
    aim: { most: 1_500 },
    baseline: `its own median ${median(samples).toFixed(0)}`,
    how: `${spread(samples)}; kill -9 with a position open, its stop taken away, then ${what}: process start until it is ready and the stop at the exchange; real journal on Postgres`,
  };
}

async function firstDecisions(bundled: BotBundle, runs: number): Promise<number[]> {
  const world = await createWorld({
    program: bundled.program("bot"),
    environment: bundled.environment("live"),
    config: { autoTrade: false },
  });
  const samples: number[] = [];
  try {
    for (let run = 0; run < runs + WARM_UP_RUNS; run += 1) {
      await world.bot.start("pod-1");
      const stepping = setInterval(() => world.exchange.control.step(1), STEP_EVERY_MS);
      try {
        const tookMs = await sinceStart(world, async () => {
          const dealt = await world.bot.candlesDealtWith();
          return dealt !== undefined && dealt > 0;
        });
        if (run >= WARM_UP_RUNS) samples.push(tookMs);
      } finally {
        clearInterval(stepping);
      }
      await world.bot.end("SIGKILL");
    }
    return samples;
  } finally {
    await endWorld(world);
  }
}

async function sinceStart({ bot }: World, holds: () => Promise<boolean>): Promise<number> {
  for (;;) {
    if (await holds()) return performance.now() - bot.startedMs;
    if (performance.now() - bot.startedMs > LIMIT_MS)
      throw new Error(`the bot did not come up:\n${bot.output.slice(-2_000)}`);
    await sleep(LOOK_EVERY_MS);
  }
}

async function bareStartMs(): Promise<number> {
  const samples: number[] = [];
  for (let run = 0; run < 10; run += 1) {
    const startedMs = performance.now();
    await once(spawn(process.execPath, ["-e", "0"]), "exit");
    samples.push(performance.now() - startedMs);
  }
  return median(samples);
}
