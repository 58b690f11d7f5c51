import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { createWorld, endWorld, untilTrading, type World } from "../../bot-runtime/test/world.ts";
import type { BotBundle } from "./bot-bundle.ts";
import type { Figure } from "./figure.ts";
import { median } from "./statistics.ts";

const CANDLES = 10_000;
const DAY = 1_440;
/** Faster than any market; slow enough that a bot deals with nearly every candle by itself. */
const PACE_MS = 8;
const SAMPLE_EVERY = 60;
const FREQTRADE = "freqtrade dry run 314 (published in the issue, not run here)";

interface Course {
  /** One per `SAMPLE_EVERY` candles, in bytes. */
  readonly samples: readonly number[];
  /** Of the last sample what no other bot of the node shares, in bytes. */
  readonly anonymous: number;
  readonly dealtWith: number;
  readonly trades: number;
}

/** Resident memory over 10,000 candles of two bots at once, as the image runs them, and of a Node that does nothing. */
export async function measureMemory(bundled: BotBundle): Promise<readonly Figure[]> {
  const [live, paper] = await Promise.all([course(bundled, "live"), course(bundled, "paper")]);
  const bare = `bare node ${megabytes(await bareNodeBytes()).toFixed(1)}; ${FREQTRADE}`;
  const growth = Math.max(growthBytes(live), growthBytes(paper));
  return [
    { key: "bot_rss_mb", aim: { most: 95 }, baseline: bare, ...resident(live) },
    { key: "paper_rss_mb", aim: { most: 60 }, baseline: bare, ...resident(paper) },
    {
      key: "rss_growth_mb_24h",
      value: megabytes(growth),
      aim: { most: 5 },
      baseline: `live ${megabytes(growthBytes(live)).toFixed(2)}, paper ${megabytes(growthBytes(paper)).toFixed(2)}`,
      how: `median of the last 1,440 of ${CANDLES} one-minute candles (a day) less that of the day before, one candle per ${PACE_MS} ms`,
    },
  ];
}

function resident(measured: Course): Pick<Figure, "value" | "how"> {
  const { samples, anonymous, dealtWith, trades } = measured;
  const highest = megabytes(Math.max(...samples)).toFixed(1);
  const own = megabytes(anonymous).toFixed(1);
  return {
    value: megabytes(samples.at(-1) ?? Number.NaN),
    how: `VmRSS after ${CANDLES} candles, MB of 10^6 bytes; ${own} of it its own (RssAnon), the rest pages of Node's program, which all bots of a node share; highest sample ${highest}; ${dealtWith} turns, ${trades} trades; plain HTTP to the simulator (TLS adds about 5)`,
  };
}

/** From day to day: a heap is collected about once a day, and two moments of that saw are up to 6 MB apart. */
function growthBytes({ samples }: Course): number {
  const day = DAY / SAMPLE_EVERY;
  return median(samples.slice(-day)) - median(samples.slice(-2 * day, -day));
}

async function course(bundled: BotBundle, mode: "live" | "paper"): Promise<Course> {
  const accountName = mode === "paper" ? null : "acct-aaaaaaaaaaaaaaaaaaaa";
  const world = await createWorld({
    program: bundled.program("bot", mode),
    environment: bundled.environment(mode),
    config: { mode, accountName },
  });
  try {
    await world.bot.start("pod-1");
    await untilTrading(world);
    const samples = await play(world);
    const anonymous = await bytesOf(world.bot.pid, "RssAnon");
    const dealtWith = (await world.bot.candlesDealtWith()) ?? 0;
    if (dealtWith < CANDLES / 2)
      throw new Error(`the ${mode} bot dealt with ${dealtWith} candles only`);
    return { samples, anonymous, dealtWith, trades: world.journal.trades.length };
  } finally {
    await endWorld(world);
  }
}

async function play({ exchange, bot }: World): Promise<number[]> {
  const samples: number[] = [];
  for (let candle = 1; candle <= CANDLES; candle += 1) {
    exchange.control.step(1);
    await sleep(PACE_MS);
    if (candle % SAMPLE_EVERY === 0 || candle === CANDLES) samples.push(await bot.residentBytes());
  }
  return samples;
}

/** A Node of the same version that waits for nothing. */
async function bareNodeBytes(): Promise<number> {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  try {
    await sleep(1_000);
    return await bytesOf(child.pid, "VmRSS");
  } finally {
    child.kill("SIGKILL");
  }
}

async function bytesOf(pid: number | undefined, what: "VmRSS" | "RssAnon"): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`${what}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1_024;
}

function megabytes(bytes: number): number {
  return bytes / 1_000_000;
}
