import { ClientOrderId } from "@tradingbots/crds";
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
