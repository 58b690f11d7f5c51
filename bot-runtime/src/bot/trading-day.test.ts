import { array, assert, constantFrom, integer, property, record } from "fast-check";
import { describe, expect, test } from "vitest";
import { type Amount, amount, price, quantity, text } from "../money.ts";
import { accountForTrade } from "../orders/trade-account.ts";
import { exampleExecution, SYMBOL } from "./example-bot.ts";
import { type DayBaseline, dayOf, standingResult, TradingDay } from "./trading-day.ts";

const at = (time: string) => Date.parse(`2025-06-${time}Z`);
const nothing = amount("0");

test.each([
  ["18T23:59:59.999", "2025-06-18"],
  ["19T00:00:00", "2025-06-19"],
])("a candle that closes at %s belongs to %s", (time, day) => {
  expect(dayOf(at(time))).toBe(day);
});

/** A process that the journal has told what it knows, at a time of June 2025. */
function process(given: {
  readonly time: string;
  readonly realised?: string;
  readonly baseline?: DayBaseline | undefined;
  readonly standing?: Amount;
}): TradingDay {
  const day = new TradingDay();
  day.see(at(given.time), () => given.standing ?? nothing);
  day.remember(amount(given.realised ?? "0"), given.baseline);
  return day;
}

describe("a day begins", () => {
  test("not before the journal has told what was before", () => {
    const day = new TradingDay();
    day.see(at("18T12:00:00"), () => nothing);
    expect(day.isDue).toBe(false);
    expect(day.begin(amount("1000"), nothing)).toBeUndefined();
    day.remember(nothing, undefined);
    expect(day.isDue).toBe(true);
  });

  test("once, with the equity and from what everything stands at", () => {
    const day = process({ time: "18T12:00:00", realised: "70" });
    const begun = day.begin(amount("1000"), nothing);
    expect(begun).toEqual({ day: "2025-06-18", equity: amount("1000"), startsFrom: amount("70") });
    expect(day.begin(amount("900"), nothing)).toBeUndefined();
    day.realise(amount("-12.5"));
    expect(text(day.result(amount("2")))).toBe("-10.5");
    expect(day.baseline?.toFixed()).toBe("1000");
  });

  test("anew at 00:00; an older candle of another symbol does not bring yesterday back", () => {
    const day = process({ time: "18T12:00:00" });
    day.begin(amount("1000"), nothing);
    day.realise(amount("-3"));
    day.see(at("19T00:00:00"), () => nothing);
    expect(day.baseline).toBeUndefined();
    expect(text(day.result(nothing))).toBe("0");
    day.begin(amount("997"), nothing);
    day.see(at("18T23:59:00"), () => nothing);
    expect(day.day).toBe("2025-06-19");
    expect(text(day.result(nothing))).toBe("0");
  });
});

describe("a position that is carried into a day", () => {
  test("brings nothing of the day before, whichever way it ends", () => {
    const day = process({ time: "18T12:00:00" });
    day.begin(amount("1000"), nothing);
    day.see(at("19T00:00:00"), () => amount("-30"));
    day.begin(amount("970"), amount("-31"));
    expect(text(day.result(amount("-31")))).toBe("-1");
    day.realise(amount("-35"));
    expect(text(day.result(nothing))).toBe("-5");
  });

  test("counts from when the day came, also if the day could only be begun later", () => {
    const day = process({ time: "18T12:00:00" });
    day.begin(amount("1000"), nothing);
    day.see(at("19T00:00:00"), () => amount("-30"));
    day.see(at("20T00:00:00"), () => amount("-40"));
    day.begin(amount("900"), amount("-90"));
    expect(text(day.result(amount("-90")))).toBe("-50");
  });
});

describe("a restart", () => {
  test("within the day finds the same figure to the last decimal", () => {
    const first = process({ time: "18T12:00:00", realised: "1.000000000000000003" });
    const baseline = first.begin(amount("1000"), amount("-0.1"));
    first.realise(amount("-30.000000000000000001"));
    first.realise(amount("0.3"));
    const standing = amount("-0.000000000000000007");
    const realised = "-28.699999999999999998";
    const second = process({ time: "18T13:00:00", realised, baseline });
    expect(text(second.result(standing))).toBe(text(first.result(standing)));
    expect(second.baseline?.toFixed()).toBe("1000");
  });

  test("that is there when the next day comes follows it", () => {
    const baseline = { day: "2025-06-18", equity: amount("1000"), startsFrom: nothing };
    const day = process({ time: "18T23:00:00", baseline });
    day.see(at("19T00:00:00"), () => amount("-30"));
    day.begin(amount("970"), amount("-30"));
    expect(text(day.result(amount("-30")))).toBe("0");
  });

  test.each([
    ["a loss since the journal's last word counts as a whole", "-30", "-30"],
    ["a gain does not count", "30", "0"],
  ])("after a day has begun without it: %s", (_name, standing, result) => {
    const baseline = { day: "2025-06-17", equity: amount("1000"), startsFrom: nothing };
    const day = process({ time: "18T00:10:00", realised: "5", baseline });
    day.begin(amount("970"), amount(standing));
    expect(text(day.result(amount(standing)))).toBe(result);
  });

  test("takes the journal's word once", () => {
    const day = process({ time: "18T12:00:00" });
    day.begin(amount("1000"), nothing);
    day.remember(amount("77"), undefined);
    expect(text(day.result(nothing))).toBe("0");
  });
});

test("whatever closes, moves, restarts and passes midnight: the result is all results less those before the day", () => {
  const steps = array(
    record({
      kind: constantFrom("close", "move", "restart", "midnight"),
      /** In units of the eighth place. */
      units: integer({ min: -(10 ** 12), max: 10 ** 12 }),
    }),
    { maxLength: 30 },
  );
  const places = 8;
  const money = (units: bigint) => amount(`${units}e-${places}`);
  assert(
    property(steps, (taken) => {
      let [closed, standing, startsFrom, minutes] = [0n, 0n, 0n, 0];
      const now = () => at("18T12:00:00") + minutes * 60_000;
      let day = process({ time: "18T12:00:00" });
      let baseline = day.begin(amount("1000"), nothing);
      for (const { kind, units } of taken) {
        if (kind === "close") {
          closed += BigInt(units);
          standing = 0n;
          day.realise(money(BigInt(units)));
        } else if (kind === "move") {
          standing = BigInt(units);
        } else if (kind === "midnight") {
          minutes += 24 * 60;
          day.see(now(), () => money(standing));
          startsFrom = closed + standing;
          baseline = day.begin(amount("1000"), money(standing));
        } else {
          day = new TradingDay();
          day.remember(money(closed), baseline);
          day.see(now(), () => nothing);
        }
        const wanted = money(closed + standing - startsFrom);
        expect(text(day.result(money(standing)))).toBe(text(wanted));
      }
    }),
  );
});

describe("what a trade stands at", () => {
  const executions = [
    exampleExecution("buy", { clientOrderId: "own", quantity: quantity("3"), fee: amount("0.3") }),
    exampleExecution("sell", { price: price("101"), quantity: quantity("1"), fee: amount("0.1") }),
  ];
  const account = accountForTrade(
    { entryId: "own", side: "long", symbol: SYMBOL, exitIds: new Set<string>() },
    executions,
  );
  const held = {
    symbol: SYMBOL,
    side: "long" as "long" | "short",
    quantity: quantity("2"),
    entryPrice: price("100"),
    unrealisedPnl: amount("4"),
    stopLoss: undefined,
    takeProfit: undefined,
    liquidationPrice: undefined,
  };

  test.each([
    ["realised and unrealised", held, "4.6"],
    ["its share in a position of others too", { ...held, quantity: quantity("4") }, "2.6"],
    ["no position seen yet", undefined, "0.6"],
    ["a position of the other side", { ...held, side: "short" as const }, "0.6"],
  ])("%s", (_name, seen, wanted) => {
    expect(text(standingResult({ account, held: seen, side: "long" }))).toBe(wanted);
  });

  test("funding that was paid on what is open counts", () => {
    const paid = exampleExecution("buy", { cause: "funding", fee: amount("0.5"), atMs: 1 });
    const funded = accountForTrade(
      { entryId: "own", side: "long", symbol: SYMBOL, exitIds: new Set<string>() },
      [...executions.slice(0, 1), { ...paid, quantity: quantity("3") }],
    );
    expect(text(standingResult({ account: funded, held: undefined, side: "long" }))).toBe("-0.8");
  });
});
