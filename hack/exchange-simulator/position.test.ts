import { expect, test } from "vitest";
import { Decimal } from "./money.ts";
import { applyTrade, averagePrice, FLAT, type Holding, type Trade } from "./position.ts";

function trade(side: Trade["side"], quantity: string, price: string): Trade {
  return { side, quantity: new Decimal(quantity), price: new Decimal(price) };
}

interface Case {
  readonly trades: readonly Trade[];
  readonly size: string;
  readonly entryValue: string;
  readonly realised: string;
}

test.for<[name: string, expected: Case]>([
  [
    "a buy opens a long",
    { trades: [trade("Buy", "0.1", "2500.5")], size: "0.1", entryValue: "250.05", realised: "0" },
  ],
  [
    "a second buy averages",
    {
      trades: [trade("Buy", "0.1", "2500"), trade("Buy", "0.2", "2600")],
      size: "0.3",
      entryValue: "770",
      realised: "0",
    },
  ],
  [
    "a sale closes a long with its profit",
    {
      trades: [trade("Buy", "0.3", "2500.01"), trade("Sell", "0.3", "2550.02")],
      size: "0",
      entryValue: "0",
      realised: "15.003",
    },
  ],
  [
    "a buy closes a short with its loss",
    {
      trades: [trade("Sell", "0.003", "104000.1"), trade("Buy", "0.003", "104100.2")],
      size: "0",
      entryValue: "0",
      realised: "-0.3003",
    },
  ],
  [
    "a larger sale turns a long round",
    {
      trades: [trade("Buy", "1", "2500"), trade("Sell", "1.5", "2400")],
      size: "-0.5",
      entryValue: "1200",
      realised: "-100",
    },
  ],
  [
    "thirds lose nothing: what rounding cuts off is realised with the last part",
    {
      trades: [
        trade("Buy", "0.01", "2500.01"),
        trade("Buy", "0.02", "2500.02"),
        trade("Sell", "0.01", "2500.02"),
        trade("Sell", "0.01", "2500.02"),
        trade("Sell", "0.01", "2500.02"),
      ],
      size: "0",
      entryValue: "0",
      realised: "0.0001",
    },
  ],
])("position: %s", ([, expected]) => {
  let holding: Holding = FLAT;
  let realised = new Decimal(0);
  for (const one of expected.trades) {
    const change = applyTrade(holding, one);
    holding = change.holding;
    realised = realised.plus(change.realisedPnl);
  }
  expect({
    size: holding.size.toFixed(),
    entryValue: holding.entryValue.toFixed(),
    realised: realised.toFixed(),
  }).toEqual({ size: expected.size, entryValue: expected.entryValue, realised: expected.realised });
});

test("the average price is a rounded quotient, absent when flat", () => {
  const { holding } = applyTrade(
    applyTrade(FLAT, trade("Buy", "0.01", "1")).holding,
    trade("Buy", "0.02", "2"),
  );
  expect(averagePrice(holding)?.toFixed()).toBe("1.66666667");
  expect(averagePrice(FLAT)).toBeUndefined();
});
