import { expect, test } from "vitest";
import { initialMargin, maintenanceMargin, orderMargin } from "./margin.ts";
import { Decimal } from "./money.ts";

// By hand for 1,000 USDT at ten times leverage: 1000/10, the closing fee 900 × 0.00055 or 1100 × 0.00055, the opening fee 0.55,
// and 1000 × 0.005 for maintenance.
test.for<[name: string, margin: Decimal, expected: string]>([
  ["initial, long", initialMargin("Buy", new Decimal(1_000), new Decimal(10)), "100.495"],
  ["initial, short", initialMargin("Sell", new Decimal(1_000), new Decimal(10)), "100.605"],
  ["order, long", orderMargin("Buy", new Decimal(1_000), new Decimal(10)), "101.045"],
  ["maintenance, long", maintenanceMargin("Buy", new Decimal(1_000), new Decimal(10)), "5.495"],
])("margin: %s", ([, margin, expected]) => {
  expect(margin.toFixed()).toBe(expected);
});
