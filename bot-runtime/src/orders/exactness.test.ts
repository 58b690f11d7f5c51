import {
  assert,
  bigInt,
  constantFrom,
  type Arbitrary,
  array,
  integer,
  property,
  record,
} from "fast-check";
import { describe, expect, test } from "vitest";
import type { Execution, PositionSide } from "../exchange/exchange.ts";
import { amount, price, quantity, roundToStep, text, value } from "../money.ts";
import { protectionLevels } from "./levels.ts";
import { positionSize } from "./sizing.ts";
import { accountForTrade } from "./trade-account.ts";

/**
 * Everything that is reckoned with money, against formulas of their own over fractions of big integers: nothing here rounds, and
 * nothing here is shared with what it checks but the text of numbers.
 */

const RUNS = { numRuns: 2_000 };

/** A fraction; `over` is positive. */
interface Fraction {
  readonly units: bigint;
  readonly over: bigint;
}

function fraction(decimal: string | number): Fraction {
  const [whole = "", places = ""] = String(decimal).split(".");
  return { units: BigInt(whole + places), over: 10n ** BigInt(places.length) };
}
const plus = (a: Fraction, b: Fraction): Fraction => ({
  units: a.units * b.over + b.units * a.over,
  over: a.over * b.over,
});
const negative = ({ units, over }: Fraction): Fraction => ({ units: -units, over });
const minus = (a: Fraction, b: Fraction) => plus(a, negative(b));
const times = (a: Fraction, b: Fraction): Fraction => ({
  units: a.units * b.units,
  over: a.over * b.over,
});
/** `b` is positive. */
const per = (a: Fraction, b: Fraction): Fraction => ({
  units: a.units * b.over,
  over: a.over * b.units,
});
const isLess = (a: Fraction, b: Fraction) => a.units * b.over < b.units * a.over;
const isEqual = (a: Fraction, b: Fraction) => a.units * b.over === b.units * a.over;
const sum = (all: readonly Fraction[]) => all.reduce(plus, fraction("0"));
/** Whole part of a positive or negative fraction, towards minus infinity. */
function floor({ units, over }: Fraction): Fraction {
  const towardsZero = units / over;
  return { units: units % over < 0n ? towardsZero - 1n : towardsZero, over: 1n };
}
/** A decimal's text is the fraction itself, to the last digit. */
const expectExactly = (decimal: { toFixed: () => string }, wanted: Fraction) => {
  const seen = fraction(decimal.toFixed());
  expect(isEqual(seen, wanted), `${decimal.toFixed()} is not ${wanted.units}/${wanted.over}`).toBe(
    true,
  );
};

/** Decimals as exchanges write them, up to `places` behind the point. */
function decimals(least: bigint, most: bigint, places: number): Arbitrary<string> {
  return record({
    units: bigInt({ min: least, max: most }),
    places: integer({ min: 0, max: places }),
  }).map(({ units, places: behind }) => {
    const digits = String(units < 0n ? -units : units).padStart(behind + 1, "0");
    const at = digits.length - behind;
    const point = behind === 0 ? "" : `.${digits.slice(at)}`;
    return `${units < 0n ? "-" : ""}${digits.slice(0, at)}${point}`;
  });
}
const prices = decimals(1n, 10n ** 12n, 8);
const quantities = decimals(1n, 10n ** 11n, 8);
const fees = decimals(-(10n ** 8n), 10n ** 8n, 10);
const steps = constantFrom("0.00000001", "0.001", "0.0025", "0.05", "0.3", "1", "5", "1000");
const hundredths = (least: number, most: number) =>
  integer({ min: least * 100, max: most * 100 }).map((each) => each / 100);

describe("rounding", () => {
  test("to a step is the nearest multiple, the upper one of two", () => {
    assert(
      property(prices, steps, (at, step) => {
        const half: Fraction = { units: 1n, over: 2n };
        const count = floor(plus(per(fraction(at), fraction(step)), half));
        expectExactly(roundToStep(price(at), price(step)), times(count, fraction(step)));
      }),
      RUNS,
    );
  });
});

test("a value is the product, and text says it all", () => {
  assert(
    property(prices, quantities, (at, units) => {
      const total = value(price(at), quantity(units));
      expectExactly(total, times(fraction(at), fraction(units)));
      expect(text(amount(text(total)))).toBe(text(total));
    }),
    RUNS,
  );
});

test("a size is the most whole steps whose margin stays within the percentage", () => {
  const sizes = record({
    equity: decimals(-(10n ** 6n), 10n ** 13n, 8),
    at: prices,
    step: steps,
    most: quantities,
    percent: hundredths(2, 10),
    leverage: integer({ min: 1, max: 100 }),
  });
  assert(
    property(sizes, ({ equity, at, step, most, percent, leverage }) => {
      const size = positionSize({
        equity: amount(equity),
        price: price(at),
        positionPercent: percent,
        leverage,
        market: { quantityStep: quantity(step), maximumQuantity: quantity(most) },
      });
      const share = per(times(fraction(equity), fraction(percent)), fraction("100"));
      const wanted = per(times(share, fraction(leverage)), fraction(at));
      const capped = isLess(fraction(most), wanted) ? fraction(most) : wanted;
      const count = floor(per(capped, fraction(step)));
      const units = count.units < 0n ? fraction("0") : times(count, fraction(step));
      expectExactly(size.quantity, units);
      expectExactly(size.value, times(units, fraction(at)));
      // A margin may have no last digit; it never exceeds what it was cut from, but for the 64th digit.
      const margin = per(times(units, fraction(at)), fraction(leverage));
      const error = minus(fraction(size.margin.toFixed()), margin);
      const tiny: Fraction = { units: 1n, over: 10n ** 40n };
      expect(isLess(error, tiny) && isLess(negative(error), tiny)).toBe(true);
    }),
    RUNS,
  );
});

test("levels are the price × (1 ± p) at the nearest tick, at least one", () => {
  const cases = record({
    side: constantFrom<PositionSide>("long", "short"),
    at: prices,
    tick: steps,
    stopLossPercent: hundredths(0.05, 50),
    takeProfitPercent: hundredths(0.05, 100),
  });
  assert(
    property(cases, ({ side, at, tick, ...percents }) => {
      const levels = protectionLevels({ side, price: price(at) }, percents, { tick: price(tick) });
      const level = (percent: number, up: boolean) => {
        const part = per(fraction(percent), fraction("100"));
        const factor = up ? plus(fraction("1"), part) : minus(fraction("1"), part);
        const exact = per(times(fraction(at), factor), fraction(tick));
        const count = floor(plus(exact, { units: 1n, over: 2n }));
        return count.units < 1n ? fraction(tick) : times(count, fraction(tick));
      };
      const long = side === "long";
      expectExactly(levels.stopLoss, level(percents.stopLossPercent, !long));
      expectExactly(levels.takeProfit, level(percents.takeProfitPercent, long));
    }),
    RUNS,
  );
});

interface Part {
  readonly at: string;
  readonly units: string;
  readonly fee: string;
  readonly funding: string;
}

const parts = array(record({ at: prices, units: quantities, fee: fees, funding: fees }), {
  minLength: 1,
  maxLength: 8,
});

/** A trade's executions: entered in parts, each followed by a funding, then left at one price in as many parts. */
function executionsOf(side: PositionSide, entry: readonly Part[], exits: readonly Part[]) {
  const [buy, sell] = side === "long" ? (["buy", "sell"] as const) : (["sell", "buy"] as const);
  let atMs = 0;
  const next = (more: Partial<Execution> & Pick<Execution, "side" | "cause">): Execution => {
    atMs += 1;
    const none = { price: price("1"), quantity: quantity("1"), fee: amount("0") };
    const order = { executionId: `x${atMs}`, clientOrderId: undefined, feeCurrency: "USDT" };
    return { ...none, ...order, atMs, ...more };
  };
  const entered = entry.flatMap(({ at, units, fee, funding }) => [
    next({
      side: buy,
      cause: "order",
      clientOrderId: "entry",
      price: price(at),
      quantity: quantity(units),
      fee: amount(fee),
    }),
    next({ side: buy, cause: "funding", quantity: quantity("0"), fee: amount(funding) }),
  ]);
  const left = exits.map(({ at, units, fee }) =>
    next({
      side: sell,
      cause: "stop",
      price: price(at),
      quantity: quantity(units),
      fee: amount(fee),
    }),
  );
  return [...entered, ...left];
}

const cash = (all: readonly Part[]) =>
  sum(all.map(({ at, units }) => times(fraction(at), fraction(units))));
const paid = (all: readonly Part[]) => sum(all.map(({ fee }) => fraction(fee)));
const fundingOf = (all: readonly Part[]) => sum(all.map(({ funding }) => fraction(funding)));

const trade = (side: PositionSide) => ({
  entryId: "entry",
  side,
  symbol: "BTC/USDT:USDT",
  exitIds: new Set<string>(),
});

describe("a trade's result", () => {
  const cases = record({
    side: constantFrom<PositionSide>("long", "short"),
    entry: parts,
    prices: array(prices, { minLength: 8, maxLength: 8 }),
    fees: array(fees, { minLength: 8, maxLength: 8 }),
  });

  test("closed: what was sold less what was bought, less fees, less funding paid, to the last digit", () => {
    assert(
      property(cases, ({ side, entry, ...exit }) => {
        // Left in the very parts that it was entered in, at other prices.
        const exits = entry.map((part, index) => ({
          ...part,
          at: exit.prices[index] ?? "1",
          fee: exit.fees[index] ?? "0",
        }));
        const account = accountForTrade(trade(side), executionsOf(side, entry, exits));
        const difference = minus(cash(exits), cash(entry));
        const gross = side === "long" ? difference : negative(difference);
        const fee = plus(paid(entry), paid(exits));
        expect(text(account.open)).toBe("0");
        expectExactly(account.fees, fee);
        expectExactly(account.funding, negative(fundingOf(entry)));
        expectExactly(account.result, minus(minus(gross, fee), fundingOf(entry)));
        expectExactly(account.realised, minus(minus(gross, fee), fundingOf(entry)));
      }),
      RUNS,
    );
  });

  test("open: nothing but fees and funding is realised, to the last digit", () => {
    assert(
      property(cases, ({ side, entry }) => {
        const account = accountForTrade(trade(side), executionsOf(side, entry, []));
        expectExactly(account.open, sum(entry.map(({ units }) => fraction(units))));
        expectExactly(account.entryValue, cash(entry));
        expectExactly(account.realised, negative(plus(paid(entry), fundingOf(entry))));
      }),
      RUNS,
    );
  });

  test("half closed: the closed part's share, but for the sixteenth place", () => {
    assert(
      property(cases, ({ side, entry, ...exit }) => {
        const [first] = entry;
        if (first === undefined) return;
        const exits = [{ ...first, at: exit.prices[0] ?? "1", fee: exit.fees[0] ?? "0" }];
        const account = accountForTrade(trade(side), executionsOf(side, entry, exits));
        const entered = sum(entry.map(({ units }) => fraction(units)));
        const cost = per(times(cash(entry), fraction(first.units)), entered);
        const difference = minus(cash(exits), cost);
        const gross = side === "long" ? difference : negative(difference);
        const wanted = minus(minus(gross, plus(paid(entry), paid(exits))), fundingOf(entry));
        const error = minus(fraction(account.realised.toFixed()), wanted);
        const place: Fraction = { units: 1n, over: 10n ** 16n };
        expect(isLess(place, error) || isLess(place, negative(error))).toBe(false);
      }),
      RUNS,
    );
  });
});
