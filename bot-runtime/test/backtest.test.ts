import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BTC = "hack/exchange-simulator/candles/bybit-linear-BTCUSDT-1m-2025-06-18_29.csv.gz";

const Decimal = z.string().regex(/^-?\d+(\.\d+)?$/);
const Report = z.strictObject({
  trades: z.array(
    z.strictObject({
      side: z.literal("long"),
      entryTime: z.iso.datetime(),
      entryPrice: Decimal,
      exitTime: z.iso.datetime(),
      exitPrice: Decimal,
      reason: z.enum(["stop", "target", "signal", "end"]),
      quantity: Decimal,
      fees: Decimal,
      pnl: Decimal,
    }),
  ),
  summary: z.looseObject({ candles: z.int(), trades: z.int(), pnl: Decimal, tick: z.null() }),
});

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "backtest-"));
});
afterEach(async () => rm(directory, { recursive: true }));

/** As somebody types it at the root of a clone: the shell's PATH has nothing of node_modules. */
async function backtest(args: readonly string[]) {
  const command = `PATH=$(printf %s "$PATH" | tr : '\\n' | grep -v node_modules | paste -sd :) exec npx --offline tradingbots-backtest "$@"`;
  const child = spawn("sh", ["-c", command, "sh", ...args], { cwd: ROOT });
  const code = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const [stdout, stderr] = await Promise.all([textOf(child.stdout), textOf(child.stderr)]);
  return { stdout, stderr, code: await code };
}

test("the documented command prints a table and writes JSON and a plot", async () => {
  const json = join(directory, "OUT.json");
  const params =
    '{"period":14,"confirmPeriod":null,"buyBelow":30,"sellAbove":70,"direction":"long"}';
  const command = `--candles ${BTC} --strategy rsi --params ${params} --stop-loss-percent 1 --take-profit-percent 2 --fee-percent 0.055 --notional 1000 --tick none --json ${json}`;
  const { stdout, stderr, code } = await backtest(command.split(" "));
  expect(stderr).not.toContain("warning: bybit");
  expect(code).toBe(0);
  expect(stdout).toContain("trades         79: ");
  const { trades, summary } = Report.parse(JSON.parse(await readFile(json, "utf8")));
  expect(trades.length).toBe(79);
  // In at 105,220.8, out at 105,056.7: 1,000 × (105,056.7 / 105,220.8 − 1) less 0.055 % of both values.
  expect(trades[0]).toMatchObject({
    entryTime: "2025-06-18T06:29:00.000Z",
    entryPrice: "105220.8",
    exitTime: "2025-06-18T08:03:00.000Z",
    exitPrice: "105056.7",
    reason: "signal",
  });
  const exitValue = (1_000 * 105_056.7) / 105_220.8;
  expect(Number(trades[0]?.pnl)).toBeCloseTo(exitValue - 1_000 - 0.000_55 * (exitValue + 1_000), 9);
  expect(summary).toMatchObject({ candles: 16_838, trades: 79, refusals: [] });
  const plot = await readFile(join(directory, "OUT.svg"), "utf8");
  expect(plot).toMatch(/^<svg [^]*<\/svg>\n$/);
  // A cross for each exit.
  expect(plot.match(/m-3 -3l6 6m0 -6l-6 6/g)?.length).toBe(79);
});

const row = (minute: number): string => `${minute * 60_000},1,1,1,1,1`;

test("gaps are warnings, faults are sentences with a line", async () => {
  const file = join(directory, "my.csv");
  const header = "openTime,open,high,low,close,volume";
  await writeFile(file, [header, row(0), row(1), row(4), row(5)].join("\n"));
  const gap = await backtest(["--candles", file]);
  expect(gap.code).toBe(0);
  expect(gap.stderr).toContain(
    "warning: my.csv: line 4: 2 candles are missing from 1970-01-01T00:02:00.000Z on",
  );
  expect(gap.stdout).toContain("trades         0: ");

  await writeFile(file, [header, row(1), row(0)].join("\n"));
  const disorder = await backtest(["--candles", file]);
  expect(disorder).toMatchObject({ code: 1, stdout: "" });
  expect(disorder.stderr).toContain("my.csv:3: disorder: 1970-01-01T00:00:00.000Z after");

  // Nothing is run for an hour and lost at its end.
  await writeFile(file, [header, row(0), row(1)].join("\n"));
  const nowhere = await backtest(["--candles", file, "--json", join(directory, "none", "x.json")]);
  expect(nowhere).toMatchObject({ code: 1, stdout: "" });
  expect(nowhere.stderr).toContain(`--json: there is no directory ${join(directory, "none")}`);
  const late = await backtest(["--candles", file, "--from", "2030-01-01"]);
  expect(late).toMatchObject({ code: 1, stdout: "" });
  expect(late.stderr).toContain("after the last candle of my.csv, which opens at 1970-01-01T00:01");

  const unsaid = await backtest([]);
  expect(unsaid.code).toBe(1);
  expect(unsaid.stderr).toContain("--candles is missing (see --help)");
});
