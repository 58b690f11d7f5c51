import { expect, test } from "vitest";
import { tradingRules } from "./bybit-market-data.ts";
import { createMarkets } from "./bybit-markets.ts";

const BITCOIN = "BTC/USDT:USDT";
const ETHER = "ETH/USDT:USDT";

const row = (symbol: string, change: object) => ({
  symbol,
  status: "Trading",
  quoteCoin: "USDT",
  priceFilter: { tickSize: "0.1" },
  lotSizeFilter: { qtyStep: "0.001", minOrderQty: "0.001", maxOrderQty: "100" },
  leverageFilter: { maxLeverage: "100" },
  ...change,
});

/** Markets of an exchange that answers `change` of ETHUSDT, on a clock that a test moves. */
function exchangeWith(change: object) {
  const it = { change, now: 0 };
  const publicGetV5MarketInstrumentsInfo = async ({ symbol = "" }) => ({
    retCode: 0,
    result: { list: [row(symbol, symbol === "ETHUSDT" ? it.change : {})] },
  });
  const markets = createMarkets(
    { publicGetV5MarketInstrumentsInfo },
    { monotonicMs: () => it.now, rulesOf: tradingRules },
  );
  return { it, markets };
}

test("a contract with odd rules takes nothing from the others", async () => {
  const { markets } = exchangeWith({ priceFilter: { tickSize: "free" } });
  const answers = await Promise.allSettled([markets.prepare([BITCOIN]), markets.prepare([ETHER])]);
  expect(answers.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
  expect(markets.market(BITCOIN)).toMatchObject({ symbol: BITCOIN });
  expect(markets.market(ETHER)).toBeUndefined();
  expect(markets.delisted(ETHER)).toBe(false);
});

test("one answer that a contract does not trade proves nothing, two a minute apart do", async () => {
  const { it, markets } = exchangeWith({ status: "Closed" });
  const ask = async (now: number) => {
    it.now = now;
    await markets.prepare([ETHER]);
    // Known symbols do not wait for their new answer.
    await new Promise(setImmediate);
    return { traded: markets.market(ETHER) !== undefined, delisted: markets.delisted(ETHER) };
  };
  expect(await ask(0)).toEqual({ traded: false, delisted: false });
  expect(await ask(59_000)).toEqual({ traded: false, delisted: false });
  it.change = {};
  expect(await ask(60_000)).toEqual({ traded: true, delisted: false });
  it.change = { status: "Closed" };
  expect(await ask(3_660_000)).toEqual({ traded: false, delisted: false });
  expect(await ask(3_720_000)).toEqual({ traded: false, delisted: true });
});
