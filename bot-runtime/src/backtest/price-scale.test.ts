import { assert, constantFrom, integer, property, record } from "fast-check";
import { expect, test } from "vitest";
import { Decimal, price } from "../money.ts";
import { protectionLevels } from "../orders/levels.ts";
import { fixedPointText, toFixedPoint } from "./fixed-point.ts";
import { PriceScale } from "./price-scale.ts";

const decimals = integer({ min: 0, max: 8 });

test("a bar's double is the decimal that was written, to the last of 15 digits", () => {
  const written = record({ digits: integer({ min: 1, max: 999_999_999_999_999 }), decimals });
  assert(
    property(written, ({ digits, decimals: priceDecimals }) => {
      const text = fixedPointText(BigInt(digits), priceDecimals);
      const scale = new PriceScale(
        { priceDecimals },
        { stopLossPercent: 1, takeProfitPercent: 2, tick: undefined },
      );
      expect(fixedPointText(scale.price(Number(text)), scale.places)).toBe(text);
    }),
    { numRuns: 2_000 },
  );
});

test("levels are those of the live bot, whatever the price, the percents and the tick", () => {
  const cases = record({
    side: constantFrom("long", "short"),
    digits: integer({ min: 1, max: 99_999_999 }),
    decimals,
    tickDigits: integer({ min: 1, max: 500 }),
    stop: integer({ min: 1, max: 99_999 }),
    target: integer({ min: 1, max: 300_000 }),
  });
  assert(
    property(cases, ({ side, digits, decimals: priceDecimals, tickDigits, stop, target }) => {
      const fill = fixedPointText(BigInt(digits), priceDecimals);
      const tick = price(fixedPointText(BigInt(tickDigits), priceDecimals));
      const percents = { stopLossPercent: stop / 1_000, takeProfitPercent: target / 1_000 };
      const scale = new PriceScale({ priceDecimals }, { ...percents, tick });
      const levels = scale.levels(side, scale.price(Number(fill)));
      const wanted = protectionLevels({ side, price: price(fill) }, percents, { tick });
      expect([levels.stop, levels.target]).toEqual(
        [wanted.stopLoss, wanted.takeProfit].map((level) => toFixedPoint(level, scale.places)),
      );
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  ["0", 0n, 3],
  ["12.345", 12_345n, 3],
  ["-0.001", -1n, 3],
  ["7", 7_000n, 3],
  ["-120", -120n, 0],
])("%s as a whole number and back", (...[text, value, places]) => {
  expect(toFixedPoint(new Decimal(text), places)).toBe(value);
  expect(fixedPointText(value, places)).toBe(text);
});

test("a number that does not fit is an error, never cut", () => {
  expect(() => toFixedPoint(new Decimal("0.0001"), 3)).toThrow(
    "0.0001 has more than 3 decimal places",
  );
});
