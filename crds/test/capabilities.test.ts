import { describe, expect, test } from "vitest";
import { capability } from "../src/capabilities.ts";
import { Exchange } from "../src/fields.ts";

describe("what an exchange must have been proven to do", () => {
  test("Bybit's USDT perpetuals can be traded", () => {
    expect(capability("bybit", [])).toEqual({ supported: true });
    expect(capability("bybit", ["BTC/USDT:USDT", "ETH/USDT:USDT"])).toEqual({ supported: true });
  });

  test.each(["BTC/USDT", "BTC/USD:BTC", "BTC/USDC:USDC", "BTC/USDT:USDT-261225"])(
    "%s cannot: its stop would not come with the entry",
    (symbol) => {
      expect(capability("bybit", ["ETH/USDT:USDT", symbol])).toEqual({
        supported: false,
        lacking: "symbol",
        message: `${symbol} is not supported on bybit: only USDT perpetuals such as BTC/USDT:USDT carry their stop with the entry`,
      });
    },
  );

  test.each(Exchange.options.filter((name) => name !== "bybit"))(
    "%s is refused, and its owner reads what is missing",
    (exchange) => {
      expect(capability(exchange, ["BTC/USDT:USDT"])).toEqual({
        supported: false,
        lacking: "exchange",
        message: `${exchange} is not supported yet: it is not proven there that an entry carries its stop, nor that an order is found by its id; use bybit`,
      });
    },
  );
});
