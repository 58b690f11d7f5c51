import { expect, test } from "vitest";
import { initialMargin, maintenanceMargin, orderMargin } from "./margin.ts";
import { Decimal } from "./money.ts";

const TERMS = { leverage: new Decimal(10), takerFeeRate: new Decimal("0.00055") };
const DEARER = { ...TERMS, takerFeeRate: new Decimal("0.001") };

// By hand for 1,000 USDT at ten times leverage: 1000/10, the closing fee 900 × 0.00055 or 1100 × 0.00055, the opening fee 0.55,
// and 1000 × 0.005 for maintenance. At other fees: 1000/10, 900 × 0.001 and 1000 × 0.001.
test.for<[name: string, margin: Decimal, expected: string]>([
  ["initial, long", initialMargin("Buy", new Decimal(1_000), TERMS), "100.495"],
  ["initial, short", initialMargin("Sell", new Decimal(1_000), TERMS), "100.605"],
  ["order, long", orderMargin("Buy", new Decimal(1_000), TERMS), "101.045"],
  ["maintenance, long", maintenanceMargin("Buy", new Decimal(1_000), TERMS), "5.495"],
  ["order, long, at another fee", orderMargin("Buy", new Decimal(1_000), DEARER), "101.9"],
])("margin: %s", ([, margin, expected]) => {
  expect(margin.toFixed()).toBe(expected);
});
