import { describe, expect, test } from "vitest";
import { amount, price, quantity, text } from "../money.ts";
import { protectionLevels } from "./levels.ts";
import { positionSize } from "./sizing.ts";

const bitcoin = {
  quantityStep: quantity("0.001"),
  maximumQuantity: quantity("119"),
  tick: price("0.1"),
};

describe("positionSize", () => {
  test.each([
    // equity × percent × leverage / price, cut: 10,000 × 5 % × 10 / 107,123.4 = 0.046675…
    {
      name: "the default risk",
      equity: "10000",
      percent: 5,
      leverage: 10,
      at: "107123.4",
      wanted: "0.046",
    },
    {
      name: "an exact step stays",
      equity: "1000",
      percent: 10,
      leverage: 1,
      at: "100000",
      wanted: "0.001",
    },
    {
      name: "below one step: nothing",
      equity: "100",
      percent: 5,
      leverage: 1,
      at: "107123.4",
      wanted: "0",
    },
    {
      name: "no equity: nothing",
      equity: "0",
      percent: 5,
      leverage: 10,
      at: "100000",
      wanted: "0",
    },
    {
      name: "negative equity: nothing",
      equity: "-5",
      percent: 5,
      leverage: 10,
      at: "100000",
      wanted: "0",
    },
    {
      name: "the most of one order",
      equity: "1000000000",
      percent: 10,
      leverage: 10,
      at: "100000",
      wanted: "119",
    },
  ])("$name", ({ equity, percent, leverage, at, wanted }) => {
    const size = positionSize({
      equity: amount(equity),
      price: price(at),
      positionPercent: percent,
      leverage,
      market: bitcoin,
    });
    expect(text(size.quantity)).toBe(wanted);
    expect(text(size.value)).toBe(text(amount(size.quantity.times(at))));
    expect(text(size.margin)).toBe(text(amount(size.value.div(leverage))));
  });

  test("never risks more than asked and is less than one step away from it", () => {
    for (let seed = 1; seed <= 500; seed += 1) {
      const equity = amount(String((seed * 7_919) % 100_003));
      const at = price(`${1_000 + ((seed * 104_729) % 90_001)}.${seed % 10}`);
      const percent = 2 + (seed % 9);
      const leverage = 1 + (seed % 50);
      const size = positionSize({
        equity,
        price: at,
        positionPercent: percent,
        leverage,
        market: bitcoin,
      });
      const asked = equity.times(percent).div(100);
      expect(size.margin.lte(asked)).toBe(true);
      const step = at.times("0.001").div(leverage);
      expect(size.quantity.eq(119) || asked.minus(size.margin).lt(step)).toBe(true);
    }
  });
});

describe("protectionLevels", () => {
  const percents = { stopLossPercent: 1, takeProfitPercent: 2 };
  test.each([
    { name: "long", side: "long" as const, at: "107123.4", stop: "106052.2", target: "109265.9" },
    { name: "short", side: "short" as const, at: "107123.4", stop: "108194.6", target: "104980.9" },
    {
      name: "half a tick goes up",
      side: "long" as const,
      at: "100.5",
      stop: "99.5",
      target: "102.5",
    },
    { name: "never below one tick", side: "long" as const, at: "0.1", stop: "0.1", target: "0.1" },
  ])("$name", ({ side, at, stop, target }) => {
    const levels = protectionLevels({ side, price: price(at) }, percents, bitcoin);
    expect([text(levels.stopLoss), text(levels.takeProfit)]).toEqual([stop, target]);
  });
});
