import {
  assert,
  bigInt,
  constant,
  constantFrom,
  type Arbitrary,
  array,
  integer,
  oneof,
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
  }).map(({ units, places: behind }) => written(units, behind));
}
/** Units of the last of so many places. */
function written(units: bigint, places: number): string {
  const digits = String(units < 0n ? -units : units).padStart(places + 1, "0");
  const at = digits.length - places;
  const point = places === 0 ? "" : `.${digits.slice(at)}`;
  return `${units < 0n ? "-" : ""}${digits.slice(0, at)}${point}`;
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

type FeeCurrency = "USDT" | "BTC" | "BNB";

interface Part {
  readonly at: string;
  readonly units: string;
  readonly fee: string;
  readonly feeCurrency: FeeCurrency;
  readonly funding: string;
}

/** Fees in the base currency are a share of what was executed: an exchange takes no more coins than were bought. */
function partWith(...currencies: FeeCurrency[]): Arbitrary<Part> {
  return record({
    at: prices,
    units: quantities,
    paid: fees,
    thousandths: integer({ min: -20, max: 20 }),
    feeCurrency: constantFrom(...currencies),
    funding: fees,
  }).map(({ paid, thousandths, ...drawn }) => ({
    ...drawn,
    fee: drawn.feeCurrency === "BTC" ? thousandthsOf(drawn.units, thousandths) : paid,
  }));
}

function thousandthsOf(decimal: string, count: number): string {
  const { units, over } = fraction(decimal);
  return written(units * BigInt(count), String(over).length + 2);
}

/** Coins are bought by who goes long: a fee for selling is not taken from them. */
const entries = oneof(
  record({ side: constant<PositionSide>("long"), parts: partsOf("USDT", "BTC", "BNB") }),
  record({ side: constant<PositionSide>("short"), parts: partsOf("USDT", "BNB") }),
);
function partsOf(...currencies: FeeCurrency[]): Arbitrary<Part[]> {
  return array(partWith(...currencies), { minLength: 1, maxLength: 8 });
}

/** Of an entry's part, once its fee was taken from it. */
function heldOf({ units, fee, feeCurrency }: Part): string {
  if (feeCurrency !== "BTC") return units;
  const { units: left, over } = minus(fraction(units), fraction(fee));
  return written(left, String(over).length - 1);
}

/** Executions, one a millisecond. */
function executionsAfter(atMs = 0) {
  let nowMs = atMs;
  return (more: Partial<Execution> & Pick<Execution, "side" | "cause">): Execution => {
    nowMs += 1;
    const none = { price: price("1"), quantity: quantity("1"), fee: amount("0") };
    const order = { executionId: `x${nowMs}`, clientOrderId: undefined, feeCurrency: "USDT" };
    return { ...none, ...order, atMs: nowMs, ...more };
  };
}

const amountsOf = ({ at, units, fee, feeCurrency }: Part) => ({
  price: price(at),
  quantity: quantity(units),
  fee: amount(fee),
  feeCurrency,
});

const directions = (side: PositionSide) =>
  side === "long" ? (["buy", "sell"] as const) : (["sell", "buy"] as const);

/** A trade's executions: entered in parts, each followed by a funding, then left in parts of their own. */
function executionsOf(side: PositionSide, entry: readonly Part[], exits: readonly Part[]) {
  const [buy, sell] = directions(side);
  const next = executionsAfter();
  const entered = entry.flatMap((each) => [
    next({ side: buy, cause: "order", clientOrderId: "entry", ...amountsOf(each) }),
    next({ side: buy, cause: "funding", quantity: quantity("0"), fee: amount(each.funding) }),
  ]);
  const left = exits.map((each) => next({ side: sell, cause: "stop", ...amountsOf(each) }));
  return [...entered, ...left];
}

const cash = (all: readonly Part[]) =>
  sum(all.map(({ at, units }) => times(fraction(at), fraction(units))));
/** What is held, at the price that it was bought at. */
const costOf = (all: readonly Part[]) =>
  sum(all.map((each) => times(fraction(each.at), fraction(heldOf(each)))));
const feesIn = (currency: FeeCurrency, all: readonly Part[]) =>
  all.filter(({ feeCurrency }) => feeCurrency === currency);
/** Coins at the price of their execution; nobody knows what a third currency is worth. */
const paid = (all: readonly Part[]) =>
  sum([
    ...feesIn("USDT", all).map(({ fee }) => fraction(fee)),
    ...feesIn("BTC", all).map(({ fee, at }) => times(fraction(fee), fraction(at))),
  ]);
const unvalued = (all: readonly Part[]) =>
  feesIn("BNB", all).some(({ fee }) => fraction(fee).units !== 0n) ? ["BNB"] : [];
const fundingOf = (all: readonly Part[]) => sum(all.map(({ funding }) => fraction(funding)));

const trade = (side: PositionSide) => ({
  entryId: "entry",
  side,
  symbol: "BTC/USDT:USDT",
  exitIds: new Set(["exit"]),
});

/** Left in the very parts that are held, at other prices and fees. */
const leaving = (entry: readonly Part[], exits: readonly Part[]): readonly Part[] =>
  entry.map((each, index) => {
    const exit = exits[index] ?? each;
    const units = heldOf(each);
    const fee = exit.feeCurrency === "BTC" ? thousandthsOf(units, 7) : exit.fee;
    return { ...exit, units, fee };
  });

describe("a trade's result", () => {
  const cases = record({
    entry: entries,
    exits: array(partWith("USDT", "BTC", "BNB"), { minLength: 8, maxLength: 8 }),
  });
  test("closed: the money that came less the money that went, to the last digit", () => {
    assert(
      property(cases, ({ entry: { side, parts: entry }, ...drawn }) => {
        const exits = leaving(entry, drawn.exits);
        const account = accountForTrade(trade(side), executionsOf(side, entry, exits));
        // All that was bought was paid for, and coins taken as a fee are not sold.
        const difference = minus(cash(exits), cash(entry));
        const gross = side === "long" ? difference : negative(difference);
        const inMoney = sum(feesIn("USDT", entry).map(({ fee }) => fraction(fee)));
        const result = minus(minus(gross, plus(inMoney, paid(exits))), fundingOf(entry));
        expect(text(account.open)).toBe("0");
        expectExactly(account.fees, plus(paid(entry), paid(exits)));
        expectExactly(account.funding, negative(fundingOf(entry)));
        expectExactly(account.result, result);
        expectExactly(account.realised, result);
        expect(account.unvaluedFees).toEqual(unvalued([...entry, ...exits]));
      }),
      RUNS,
    );
  });

  test("open: nothing but fees and funding is realised, to the last digit that is kept", () => {
    assert(
      property(entries, ({ side, parts: entry }) => {
        const account = accountForTrade(trade(side), executionsOf(side, entry, []));
        expectExactly(account.open, sum(entry.map((each) => fraction(heldOf(each)))));
        expectExactly(account.entryValue, costOf(entry));
        // Coins that were taken as a fee have more places than a share keeps.
        const realised = negative(plus(paid(entry), fundingOf(entry)));
        if (feesIn("BTC", entry).length > 0) expectNearly(account.realised, realised, 1);
        else expectExactly(account.realised, realised);
        expect(account.unvaluedFees).toEqual(unvalued(entry));
      }),
      RUNS,
    );
  });

  test("half closed: the closed part's share, but for the sixteenth place", () => {
    assert(
      property(cases, ({ entry: { side, parts: entry }, ...drawn }) => {
        const exits = leaving(entry, drawn.exits).slice(0, 1);
        const account = accountForTrade(trade(side), executionsOf(side, entry, exits));
        const held = sum(entry.map((each) => fraction(heldOf(each))));
        const closed = sum(exits.map(({ units }) => fraction(units)));
        const difference = minus(cash(exits), per(times(costOf(entry), closed), held));
        const gross = side === "long" ? difference : negative(difference);
        const wanted = minus(minus(gross, plus(paid(entry), paid(exits))), fundingOf(entry));
        expectNearly(account.realised, wanted, 1);
      }),
      RUNS,
    );
  });
});

/** But for so many times the sixteenth place. */
function expectNearly(decimal: { toFixed: () => string }, wanted: Fraction, often: number) {
  const error = minus(fraction(decimal.toFixed()), wanted);
  const places: Fraction = { units: BigInt(often), over: 10n ** 16n };
  expect(isLess(places, error) || isLess(places, negative(error))).toBe(false);
}

const least = (a: Fraction, b: Fraction) => (isLess(a, b) ? a : b);
const most = (a: Fraction, b: Fraction) => (isLess(a, b) ? b : a);
const nothing = fraction("0");

/** As the exchange writes the size of a position in either direction. */
function sizeOf({ units, over }: Fraction): string {
  return written(units < 0n ? -units : units, String(over).length - 1);
}

describe("a position that others have a share in", () => {
  /** What happens after the trade's entry: whose order, and in which direction; a stop is the whole position's. */
  const happenings = array(
    record({
      what: constantFrom("others-open", "others-close", "own-exit", "stop", "funding"),
      at: prices,
      units: decimals(1n, 1_000n, 2),
      fee: fees,
    }),
    { minLength: 1, maxLength: 10 },
  );
  type Happening = (typeof happenings extends Arbitrary<infer Each> ? Each : never)[number];
  const cases = record({
    side: constantFrom<PositionSide>("long", "short"),
    at: prices,
    units: decimals(1n, 1_000n, 2),
    fee: fees,
    after: happenings,
  });

  /** Two heaps: what belongs to the trade, and all else; `cash` is what left the trade's heap, at its price. */
  function heapsAfter(entered: Fraction, after: readonly Happening[]) {
    let [own, others, cashed, fee, funding] = [entered, nothing, nothing, nothing, nothing];
    for (const { what, ...each } of after) {
      const units = fraction(each.units);
      const all = plus(own, others);
      if (what === "others-open") others = plus(others, units);
      else if (what === "funding") {
        // On the net position; a counter-position of others does not make the trade's share more than all of it.
        const share = isLess(own, all) ? per(own, all) : fraction("1");
        if (own.units > 0n) funding = plus(funding, times(fraction(each.fee), share));
      } else {
        const theirs = what === "others-close" ? least(most(others, nothing), units) : nothing;
        const taken = least(own, minus(units, theirs));
        own = minus(own, taken);
        others = minus(others, minus(units, taken));
        cashed = plus(cashed, times(fraction(each.at), taken));
        fee = plus(fee, times(fraction(each.fee), per(taken, units)));
      }
    }
    return { own, others, cashed, fee, funding };
  }

  test("each share, its result and its fees are those of two heaps that are kept apart", () => {
    assert(
      property(cases, ({ side, at, units, fee, after }) => {
        const [buy, sell] = directions(side);
        const next = executionsAfter();
        const entry = next({
          side: buy,
          cause: "order",
          clientOrderId: "entry",
          price: price(at),
          quantity: quantity(units),
          fee: amount(fee),
        });
        let net = fraction(units);
        const executions = after.map((each) => {
          const { what } = each;
          const opens = what === "others-open";
          const size = what === "funding" ? sizeOf(net) : each.units;
          const change = fraction(what === "funding" ? "0" : each.units);
          net = opens ? plus(net, change) : minus(net, change);
          return next({
            side: opens ? buy : sell,
            cause: what === "stop" || what === "funding" ? what : "order",
            clientOrderId: what === "own-exit" ? "exit" : undefined,
            price: price(each.at),
            quantity: quantity(size),
            fee: amount(each.fee),
          });
        });
        const account = accountForTrade(trade(side), [entry, ...executions]);
        const heaps = heapsAfter(fraction(units), after);
        expectExactly(account.open, heaps.own);
        expectExactly(account.others, heaps.others);
        // Whoever owns it: nothing is made or lost.
        expect(isEqual(plus(heaps.own, heaps.others), net)).toBe(true);
        const cost = times(fraction(at), minus(fraction(units), heaps.own));
        const difference = minus(heaps.cashed, cost);
        const gross = side === "long" ? difference : negative(difference);
        const paidFees = plus(fraction(fee), heaps.fee);
        const wanted = minus(minus(gross, paidFees), heaps.funding);
        expectNearly(account.fees, paidFees, after.length);
        expectNearly(account.funding, negative(heaps.funding), after.length);
        expectNearly(account.realised, wanted, after.length + 1);
      }),
      RUNS,
    );
  });
});
