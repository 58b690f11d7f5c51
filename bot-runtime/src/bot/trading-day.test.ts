import { describe, expect, test } from "vitest";
import { amount, text } from "../money.ts";
import { dayOf, realisedFromEquity, TradingDay } from "./trading-day.ts";

const at = (time: string) => Date.parse(`2025-06-${time}Z`);

test.each([
  ["18T23:59:00", "2025-06-18"],
  ["19T00:00:00", "2025-06-19"],
])("a candle that closes at %s belongs to %s", (time, day) => {
  expect(dayOf(at(time))).toBe(day);
});

describe("TradingDay", () => {
  test("a new day needs a new baseline and starts from nothing", () => {
    const day = new TradingDay();
    day.see(at("18T12:00:00"));
    expect(day.baseline).toBeUndefined();
    day.open({ day: "2025-06-18", equity: amount("1000") });
    day.realise(amount("-12.5"));
    expect(text(day.result([amount("2")]))).toBe("-10.5");
    day.see(at("19T00:00:00"));
    expect(day.baseline).toBeUndefined();
    expect(text(day.result([]))).toBe("0");
  });

  test("another symbol's older candle does not bring yesterday back", () => {
    const day = new TradingDay();
    day.see(at("19T00:00:00"));
    day.open({ day: "2025-06-19", equity: amount("1000") });
    day.see(at("18T23:59:00"));
    expect(day.day).toBe("2025-06-19");
    expect(text(day.baseline ?? amount("0"))).toBe("1000");
  });

  test("a restart goes on where the journal says", () => {
    const day = new TradingDay();
    day.see(at("18T12:00:00"));
    day.restore({ day: "2025-06-18", equity: amount("1000") }, amount("-30"));
    expect(text(day.result([]))).toBe("-30");
  });
});

test("what was realised, when only the equity is known", () => {
  const facts = { equity: amount("990"), unrealised: [amount("5"), amount("-1")] };
  expect(text(realisedFromEquity(facts, amount("1000")))).toBe("-14");
});
