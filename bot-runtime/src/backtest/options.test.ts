import { Risk } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import { text } from "../money.ts";
import { parseOptions, UsageError } from "./options.ts";

describe("options", () => {
  test("the least that can be said", () => {
    const options = parseOptions(["--candles", "a.csv"]);
    expect(options).toMatchObject({
      candles: "a.csv",
      strategy: { name: "rsi", params: {} },
      risk: Risk.parse({}),
      sizing: { kind: "notional" },
      tick: "file",
      fromMs: undefined,
      json: undefined,
    });
    expect(options?.feePercent.toFixed()).toBe("0.055");
    expect(options?.sizing.kind === "notional" && text(options.sizing.notional)).toBe("1000");
  });

  test("all of them", () => {
    const sized =
      "--balance 500.5 --position-percent 4 --leverage 3 --daily-loss-percent 2 --quantity-step 0.01";
    const line = `--candles a.csv --strategy rsi --params {"period":9} --stop-loss-percent 0.5 --take-profit-percent 1.5 --fee-percent 0 --tick 0.5 --min-confidence 70 --from 2025-06-20 --json o.json ${sized}`;
    const options = parseOptions(line.split(" "));
    expect(options).toMatchObject({
      strategy: { name: "rsi", params: { period: 9 } },
      risk: {
        stopLossPercent: 0.5,
        takeProfitPercent: 1.5,
        minConfidence: 70,
        positionPercent: 4,
        leverage: 3,
        dailyLossPercent: 2,
      },
      fromMs: Date.UTC(2025, 5, 20),
      json: "o.json",
    });
    const { sizing, tick, feePercent } = options ?? {};
    expect(
      sizing?.kind === "account" && [text(sizing.balance), text(sizing.market.quantityStep)],
    ).toEqual(["500.5", "0.01"]);
    expect([String(tick), String(feePercent)]).toEqual(["0.5", "0"]);
  });

  test("help wins", () => {
    expect(parseOptions(["--help"])).toBeUndefined();
  });

  test.each([
    ["", "--candles is missing"],
    ["--candles", "--candles"],
    ["--candles a.csv --colour red", "--colour"],
    ["--candles a.csv more", "more"],
    ["--candles a.csv --params [1]", "--params must be a JSON object, not [1]"],
    ["--candles a.csv --params {period", "--params must be a JSON object, not {period"],
    ["--candles a.csv --stop-loss-percent 0", "--stop-loss-percent must be above 0, not 0"],
    ["--candles a.csv --stop-loss-percent 100", "--stop-loss-percent must be below 100, not 100"],
    ["--candles a.csv --fee-percent=-1", "--fee-percent must be a decimal number, not -1"],
    ["--candles a.csv --notional 1e3", "--notional must be a decimal number, not 1e3"],
    ["--candles a.csv --notional -5", "--notional must be a decimal number, not -5"],
    ["--candles a.csv --json out.svg", "--json must end in .json, not out.svg"],
    ["--candles a.csv --tick 0", "--tick must be above 0, not 0"],
    ["--candles a.csv --tick tiny", "--tick must be a decimal number, not tiny"],
    ["--candles a.csv --leverage 2", "--leverage needs --balance"],
    ["--candles a.csv --notional 5 --balance 5", "--notional and --balance exclude each other"],
    [
      "--candles a.csv --from yesterday",
      "--from must be like 2025-06-20 or 2025-06-20T12:00Z, not yesterday",
    ],
    ["--candles a.csv --from 2025-06-20T12:00", "--from must be like"],
  ])("%j is refused: %s", (line, sentence) => {
    const act = () => parseOptions(line === "" ? [] : line.split(" "));
    expect(act).toThrow(UsageError);
    expect(act).toThrow(sentence);
  });
});
