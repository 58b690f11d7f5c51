#!/usr/bin/env node
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { Decimal, price, type Price } from "../money.ts";
import { type BacktestInput, runBacktest } from "./backtest.ts";
import { gapWarnings, readCandleFile } from "./candle-file.ts";
import type { CandleTable } from "./candle-table.ts";
import { type BacktestOptions, parseOptions, USAGE, UsageError } from "./options.ts";
import { plotSvg } from "./plot.ts";
import { buildReport, reportTable } from "./report.ts";

/** Reads the candles, trades them, prints a table and writes what was asked for. */
async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) {
    console.log(USAGE);
    return;
  }
  const { json } = options;
  if (json !== undefined && !existsSync(dirname(json)))
    throw new UsageError(`--json: there is no directory ${dirname(json)}`);
  const file = basename(options.candles);
  const candles = await readCandleFile(options.candles).catch((error: unknown) => {
    if (!(error instanceof Error && "code" in error)) throw error; // what is wrong in it names the line
    const problem = error.code === "ENOENT" ? "there is no such file" : error.message;
    throw new Error(`--candles ${options.candles}: ${problem}`, { cause: error });
  });
  const lastMs = candles.openTimesMs[candles.length - 1] ?? 0;
  if (options.fromMs !== undefined && options.fromMs > lastMs) {
    const last = new Date(lastMs).toISOString();
    throw new UsageError(`--from lies after the last candle of ${file}, which opens at ${last}`);
  }
  for (const warning of gapWarnings(candles)) console.error(`warning: ${file}: ${warning}`);
  const input: BacktestInput = {
    candles,
    strategy: options.strategy,
    risk: options.risk,
    feePercent: options.feePercent,
    sizing: options.sizing,
    tick: tickOf(options.tick, candles),
    ...(options.fromMs === undefined ? {} : { fromMs: options.fromMs }),
  };
  const result = runBacktest(input);
  const report = buildReport(input, result);
  console.log(reportTable(report));
  if (json === undefined) return;
  const plot = json.replace(/\.json$/, ".svg");
  const title = `${options.strategy.name} ${JSON.stringify(options.strategy.params)} on ${file}`;
  await writeFile(json, `${JSON.stringify(report, undefined, 2)}\n`);
  await writeFile(plot, plotSvg(input, result, title));
  console.log(`${"written".padEnd(15)}${json}, ${plot}`);
}

function tickOf(tick: BacktestOptions["tick"], { priceDecimals }: CandleTable): Price | undefined {
  if (tick === "none") return undefined;
  return tick === "file" ? price(new Decimal(10).pow(-priceDecimals)) : tick;
}

try {
  await main();
} catch (error) {
  // Most are the user's to mend: a sentence, not a stack.
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
