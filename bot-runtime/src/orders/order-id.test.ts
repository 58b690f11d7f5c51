import { ClientOrderId, type Exchange } from "@tradingbots/crds";
import { assert, constantFrom, integer, property, record, string, uuid } from "fast-check";
import { describe, expect, test } from "vitest";
import { candleReference, exitOrderIds, orderId, type OrderIdentity } from "./order-id.ts";

const identity: OrderIdentity = {
  botUid: "0b1c2d3e-4f50-4172-8394-a5b6c7d8e9f0",
  symbol: "BTC/USDT:USDT",
  timeframe: "1m",
  reference: candleReference(Date.UTC(2025, 5, 18, 12, 34)),
  leg: "entry",
  attempt: 0,
};

describe("orderId", () => {
  test("is fixed: an update of the software must find the orders of the version before", () => {
    expect(orderId(identity)).toBe("1c6bb314-a539-89cb-8931-0bd390fd5193");
  });

  test.each<[string, Partial<OrderIdentity>]>([
    ["bot", { botUid: "0b1c2d3e-4f50-4172-8394-a5b6c7d8e9f1" }],
    ["symbol", { symbol: "ETH/USDT:USDT" }],
    ["timeframe", { timeframe: "3m" }],
    ["candle", { reference: candleReference(Date.UTC(2025, 5, 18, 12, 35)) }],
    ["leg", { leg: "exit" }],
    ["attempt", { attempt: 1 }],
  ])("another %s gives another id", (_name, change) => {
    expect(orderId({ ...identity, ...change })).not.toBe(orderId(identity));
  });

  test("fields do not run together", () => {
    const left = orderId({ ...identity, symbol: "A", timeframe: "B1m" });
    expect(orderId({ ...identity, symbol: "AB", timeframe: "1m" })).not.toBe(left);
  });

  test("the exits of an entry are known by their ids, whoever sent them", () => {
    const { botUid, symbol } = identity;
    const exit = { botUid, symbol, timeframe: "", reference: "entry", leg: "exit" } as const;
    const known = exitOrderIds({ botUid, symbol, entryId: "entry" });
    expect(known).toContain(orderId({ ...exit, attempt: 0 }));
    expect(known).toContain(orderId({ ...exit, attempt: 15 }));
    expect(known).not.toContain(orderId({ ...exit, reference: "another entry", attempt: 0 }));
  });

  test("however many there were: one that was seen is known, and so are all before it", () => {
    const { botUid, symbol } = identity;
    const exit = { botUid, symbol, timeframe: "", reference: "entry", leg: "exit" } as const;
    const seen = new Set([700, 1_500].map((attempt) => orderId({ ...exit, attempt })));
    const known = exitOrderIds({ botUid, symbol, entryId: "entry" }, seen);
    expect(known.length).toBe(1_501);
    expect(known[1_500]).toBe(orderId({ ...exit, attempt: 1_500 }));
    const others = new Set([orderId({ ...exit, reference: "another entry", attempt: 0 })]);
    expect(exitOrderIds({ botUid, symbol, entryId: "entry" }, others).length).toBe(16);
  });

  test("two weeks of minutes: every id is a UUID of version 8, none repeats", () => {
    const seen = new Set<string>();
    const minutes = 20_000;
    for (let minute = 0; minute < minutes; minute += 1) {
      const id = orderId({ ...identity, reference: candleReference(minute * 60_000) });
      expect(ClientOrderId.safeParse(id).success).toBe(true);
      expect(id).toMatch(/^.{14}8.{4}[89ab].{16}$/);
      expect(id.length).toBe(36);
      seen.add(id);
    }
    expect(seen.size).toBe(minutes);
  });
});

/**
 * What each exchange takes as the client's id of an order. [1] https://bybit-exchange.github.io/docs/v5/order/create-order
 * [2] https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/New-Order, on spot the same without
 * "." ":" "/" [3] https://docs.kraken.com/exchange/guides/general/clordid: a UUID, or free text of at most 18 characters
 * [4] the shape of Coinbase's own examples, https://docs.cdp.coinbase.com/advanced-trade/reference
 * [5] https://docs.alpaca.markets/reference/postorder: 128 characters, 48 in earlier versions
 */
const RULES = {
  bybit: /^[A-Za-z0-9_-]{1,36}$/,
  binance: /^[A-Za-z0-9_-]{1,36}$/,
  kraken: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  coinbase: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  alpaca: /^[ -~]{1,48}$/,
} as const satisfies Record<Exchange, RegExp>;

describe.each(Object.entries(RULES))("an id is valid on %s", (_name, rule) => {
  test("of every leg and attempt, whatever bot, symbol and candle", () => {
    const identities = record({
      botUid: uuid(),
      symbol: string({ minLength: 1, maxLength: 40 }),
      timeframe: constantFrom("1m", "4h", "1d"),
      reference: string({ maxLength: 40 }),
      leg: constantFrom("entry", "exit"),
      attempt: integer({ min: 0, max: 1_000 }),
    });
    assert(
      property(identities, (each) => {
        expect(orderId(each)).toMatch(rule);
      }),
      { numRuns: 500 },
    );
  });
});
