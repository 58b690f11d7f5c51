import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { Risk } from "@tradingbots/crds";
import { type BacktestInput, runBacktest } from "../../bot-runtime/src/backtest/backtest.ts";
import { CandleCsvParser } from "../../bot-runtime/src/backtest/candle-csv.ts";
import type { CandleTable } from "../../bot-runtime/src/backtest/candle-table.ts";
import { type Summary, summarise } from "../../bot-runtime/src/backtest/summary.ts";
import { amount, Decimal } from "../../bot-runtime/src/money.ts";
import type { Figure } from "./figure.ts";
import { median, spread } from "./statistics.ts";
import { bareBacktest, bareFileToJson, type BareResult, type BareRules } from "./bare-backtest.ts";

const RECORDED = fileURLToPath(
  new URL(
    "../exchange-simulator/candles/bybit-linear-BTCUSDT-1m-2025-06-18_29.csv.gz",
    import.meta.url,
  ),
);
const MAIN = fileURLToPath(new URL("../../bot-runtime/src/backtest/main.ts", import.meta.url));
const BARE = new URL("./bare-backtest.ts", import.meta.url).href;

const CANDLES = 5_000_000;
const ROUNDS = 9;
/** The first rounds are for the compiler. */
const WARM_UP_ROUNDS = 3;
const WALL_ROUNDS = 7;
/** Candles that are written and parsed at once. */
const PIECE = 50_000;

const RULES: BareRules = {
  period: 14,
  buyBelow: 30,
  sellAbove: 70,
  stop: 0.01,
  target: 0.02,
  fee: 0.000_55,
  notional: 1_000,
};
const STRATEGY = { name: "rsi", params: { period: 14, direction: "long" } };

/** Speed of the backtest, warm and cold, each in turns with a bare synchronous loop of the same rules. */
export function measureBacktest(): readonly Figure[] {
  return [...measureWarm(), ...measureCold()];
}

/** The recorded candles again and again, with times that go on: as text, through the parser. */
function parseManyCandles(): { readonly candles: CandleTable; readonly parsedPerSecond: number } {
  const [header = "", ...rows] = recordedLines();
  const firstMs = Number(rows[0]?.split(",")[0]);
  const rest = rows.map((row) => row.slice(row.indexOf(",")));
  const parser = new CandleCsvParser("recorded");
  parser.push(Buffer.from(`${header}\n`));
  let parsingMs = 0;
  for (let from = 0; from < CANDLES; from += PIECE) {
    const lines = Array.from({ length: Math.min(PIECE, CANDLES - from) }, (_, index) => {
      const at = from + index;
      return `${firstMs + at * 60_000}${rest[at % rest.length] ?? ""}\n`;
    });
    const piece = Buffer.from(lines.join(""));
    const startMs = performance.now();
    parser.push(piece);
    parsingMs += performance.now() - startMs;
  }
  return { candles: parser.end(), parsedPerSecond: CANDLES / (parsingMs / 1_000) };
}

function recordedLines(): string[] {
  return gunzipSync(readFileSync(RECORDED)).toString("latin1").trimEnd().split("\n");
}

function measureWarm(): readonly Figure[] {
  const { candles, parsedPerSecond } = parseManyCandles();
  const input: BacktestInput = {
    candles,
    strategy: STRATEGY,
    risk: Risk.parse({}),
    sizing: { kind: "notional", notional: amount(String(RULES.notional)) },
    feePercent: new Decimal("0.055"),
    tick: undefined,
  };
  const own: Time[] = [];
  const bare: Time[] = [];
  let summary: Summary | undefined;
  let wanted: BareResult | undefined;
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1) {
    const bareTime = timeOf(() => (wanted = bareBacktest(candles, RULES)));
    const ownTime = timeOf(() => (summary = summarise(input, runBacktest(input))));
    if (round < WARM_UP_ROUNDS) continue;
    bare.push(bareTime);
    own.push(ownTime);
  }
  requireEqual(summary, wanted);
  const ownMs = own.map(({ cpuMs }) => cpuMs);
  const ownWallMs = own.map(({ wallMs }) => wallMs);
  const ratios = own.map(({ cpuMs }, round) => (bare[round]?.cpuMs ?? NaN) / cpuMs);
  const perSecond = (ms: number): number => Math.round(candles.length / (ms / 1_000));
  return [
    {
      key: "backtest_candles_per_s",
      value: perSecond(median(ownMs)),
      aim: { least: 10_000_000 },
      baseline: `bare loop ${perSecond(median(bare.map(({ cpuMs }) => cpuMs)))}; once on such a machine backtesting.py 180,000, NautilusTrader 40,000, freqtrade 26,000`,
      how: `per second of one core, all threads counted: ${candles.length} parsed candles, ${summary?.trades} trades, summary computed; CPU ms: ${spread(ownMs)}`,
    },
    {
      key: "backtest_wall_candles_per_s",
      value: perSecond(median(ownWallMs)),
      baseline: `bare loop ${perSecond(median(bare.map(({ wallMs }) => wallMs)))}`,
      how: `the same rounds by the clock on the wall, beside whatever else the machine does; best ${perSecond(Math.min(...ownWallMs))}; ms: ${spread(ownWallMs)}`,
    },
    {
      key: "backtest_ratio_to_loop",
      value: Number(median(ratios).toFixed(3)),
      aim: { least: 0.15 },
      baseline: "1: bare synchronous loop over doubles, same candles, same rules, same results",
      how: `CPU time, in turns; ratios of neighbours: ${spread(ratios)}`,
    },
    {
      key: "backtest_parsed_candles_per_s",
      value: Math.round(parsedPerSecond),
      baseline: "none: the loop takes parsed candles",
      how: `CSV text in pieces of ${PIECE} lines, checks included`,
    },
  ];
}

interface Time {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/**
 * Speed is told by the CPU time of all of the process' threads, compiler and garbage collector included: beside other work on the
 * same cores the clock on the wall says more of that work than of this, and on an idle machine this time is no shorter.
 */
function timeOf(work: () => void): Time {
  const before = process.cpuUsage();
  const startMs = performance.now();
  work();
  const wallMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(before);
  return { wallMs, cpuMs: (user + system) / 1_000 };
}

/** Speeds can be compared only when both did the same. */
function requireEqual(summary: Summary | undefined, bare: BareResult | undefined): void {
  const own = [summary?.trades, Number(summary?.pnl), Number(summary?.maxDrawdown)];
  const wanted = [bare?.trades, bare?.pnl, bare?.maxDrawdown];
  const same = own.every((value, at) => Math.abs((value ?? NaN) - (wanted[at] ?? NaN)) < 1e-3);
  if (!same)
    throw new Error(`backtest (${own.join()}) and bare loop (${wanted.join()}) traded differently`);
}

function measureCold(): readonly Figure[] {
  const directory = mkdtempSync(join(tmpdir(), "backtest-"));
  try {
    const json = join(directory, "bare.json");
    const { trades } = bareFileToJson(RECORDED, RULES, json);
    const call = `bareFileToJson(${JSON.stringify(RECORDED)}, ${JSON.stringify(RULES)}, ${JSON.stringify(json)})`;
    const script = `import { bareFileToJson } from ${JSON.stringify(BARE)}; ${call}`;
    const params = JSON.stringify(STRATEGY.params);
    const own = [MAIN, "--candles", RECORDED, "--params", params, "--tick", "none"];
    const times = Array.from({ length: WALL_ROUNDS }, () => ({
      bareMs: timed(["--input-type=module", "--eval", script]),
      ownMs: timed([...own, "--json", join(directory, "own.json")]),
    }));
    const ownTimes = times.map(({ ownMs }) => ownMs);
    const bareMs = Math.round(median(times.map((each) => each.bareMs)));
    return [
      {
        key: "backtest_wall_ms",
        value: Math.round(median(ownTimes)),
        baseline: `${bareMs}: a process that splits the lines, runs the bare loop and writes its sums`,
        how: `process start to end: ${recordedLines().length - 1} candles (gzip) to table, JSON of ${trades} trades and plot; ms: ${spread(ownTimes)}`,
      },
    ];
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Runs Node with these arguments to its end, ms. */
function timed(args: readonly string[]): number {
  const startMs = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`node ${args.join(" ")} failed: ${stderr}`);
  return performance.now() - startMs;
}
