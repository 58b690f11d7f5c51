import { expect, test } from "vitest";
import { createAccount, positionOf } from "./account.ts";
import { liquidationPrice } from "./liquidation.ts";
import { maintenanceMargin } from "./margin.ts";
import { Decimal } from "./money.ts";
import { applyTrade, FLAT, unrealisedPnl } from "./position.ts";
import type { Side } from "./order.ts";
import { defaultSettings } from "./settings.ts";

const ETH_ENTRY = new Decimal(2_500);
const BTC_ENTRY = new Decimal(100_000);
const prices = new Map([
  ["ETHUSDT", ETH_ENTRY],
  ["BTCUSDT", new Decimal(99_000)],
]);
const lastPrice = (symbol: string): Decimal => prices.get(symbol) ?? new Decimal(0);
const takerFeeRate = new Decimal("0.001");
const valuation = { lastPrice, settings: () => ({ ...defaultSettings, takerFeeRate }) };

test.for<[name: string, side: Side, size: number, other: Side | undefined]>([
  ["a long", "Buy", 3, undefined],
  ["a short", "Sell", 3, undefined],
  ["a long beside another position that loses", "Buy", 2, "Buy"],
  ["a short beside another position that wins", "Sell", 2, "Sell"],
])("at its liquidation price the equity is the maintenance margin: %s", ([, side, size, other]) => {
  const account = createAccount(1, new Decimal(1_000));
  const eth = positionOf(account, "ETHUSDT");
  const quantity = new Decimal(size);
  eth.holding = applyTrade(FLAT, { side, quantity, price: ETH_ENTRY }).holding;
  const btc = positionOf(account, "BTCUSDT");
  const small = new Decimal("0.02");
  if (other !== undefined) {
    btc.holding = applyTrade(FLAT, { side: other, quantity: small, price: BTC_ENTRY }).holding;
  }
  const price = liquidationPrice(account, "ETHUSDT", valuation) ?? new Decimal(0);

  const equity = account.wallet
    .plus(unrealisedPnl(eth.holding, price))
    .plus(unrealisedPnl(btc.holding, lastPrice("BTCUSDT")));
  const margins = [
    maintenanceMargin(side, eth.holding.entryValue, { leverage: eth.leverage, takerFeeRate }),
    other === undefined
      ? new Decimal(0)
      : maintenanceMargin(other, btc.holding.entryValue, { leverage: btc.leverage, takerFeeRate }),
  ];
  const difference = margins.reduce((rest, margin) => rest.minus(margin), equity);
  expect(difference.abs().lt("1e-40")).toBe(true);
  expect(side === "Buy" ? price.lt(ETH_ENTRY) : price.gt(ETH_ENTRY)).toBe(true);
});

test("there is none for a flat position, and none above zero for a long that the wallet covers", () => {
  const account = createAccount(1, new Decimal(1_000));
  expect(liquidationPrice(account, "ETHUSDT", valuation)).toBeUndefined();
  const eth = positionOf(account, "ETHUSDT");
  const trade = { side: "Buy", quantity: new Decimal("0.1"), price: ETH_ENTRY } as const;
  eth.holding = applyTrade(FLAT, trade).holding;
  expect(liquidationPrice(account, "ETHUSDT", valuation)?.isNegative()).toBe(true);
});
