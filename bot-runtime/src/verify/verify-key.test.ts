import { VerificationResult } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import { exchangeFault } from "../exchange/bybit-outcomes.ts";
import type { Exchange, ExchangeFault, KeyDescription } from "../exchange/exchange.ts";
import { amount } from "../money.ts";
import { verifyKey } from "./verify-key.ts";

const now = () => new Date("2026-01-02T03:04:05Z");

const good: KeyDescription = {
  readOnly: false,
  permissions: ["ContractTrade:Order", "ContractTrade:Position"],
  canWithdraw: false,
  canTrade: true,
  accountId: "24600000",
  expiresAt: "2026-06-01T00:00:00Z",
  hedgeMode: false,
};

function exchangeWith(key: KeyDescription): Pick<Exchange, "describeKey" | "balance"> {
  return {
    describeKey: async () => key,
    balance: async () => ({
      equity: amount("10000.5"),
      available: amount("9000"),
      currency: "USDT",
    }),
  };
}

describe("a key that the exchange described", () => {
  test.each<[string, Partial<KeyDescription>, string, string]>([
    ["good", {}, "verified", "Verified"],
    ["one that may withdraw", { canWithdraw: true }, "refused", "WithdrawalAllowed"],
    ["one that only reads", { readOnly: true }, "refused", "ReadOnly"],
    ["one without trading", { canTrade: false }, "refused", "TradingNotAllowed"],
    ["hedge mode", { hedgeMode: true }, "refused", "HedgeMode"],
    ["expired", { expiresAt: "2026-01-02T03:04:05Z" }, "refused", "KeyExpired"],
    ["one that does not expire", { expiresAt: undefined }, "verified", "Verified"],
  ])("%s", async (...[, change, state, reason]) => {
    const result = await verifyKey(exchangeWith({ ...good, ...change }), now);
    expect(result).toMatchObject({ state, reason, balance: "10000.5", currency: "USDT" });
    expect(VerificationResult.safeParse(result).success).toBe(true);
  });
});

describe("an exchange that does not describe it", () => {
  test.each<[ExchangeFault["fault"], string, string]>([
    ["InvalidKey", "refused", "InvalidKey"],
    ["PermissionDenied", "refused", "PermissionDenied"],
    ["Unavailable", "unavailable", "ExchangeUnavailable"],
    ["Refused", "refused", "Refused"],
  ])("%s", async (fault, state, reason) => {
    const describeKey = async () => {
      throw exchangeFault(fault, { code: "1", message: "no" });
    };
    const result = await verifyKey({ ...exchangeWith(good), describeKey }, now);
    expect(result).toMatchObject({ state, reason, permissions: [] });
    expect(VerificationResult.safeParse(result).success).toBe(true);
  });

  test("an answer that nobody foresaw", async () => {
    const broken = Promise.reject(new TypeError("x is not a function"));
    const result = await verifyKey({ ...exchangeWith(good), describeKey: () => broken }, now);
    expect(result).toMatchObject({ state: "unavailable", reason: "UnexpectedAnswer" });
  });
});
