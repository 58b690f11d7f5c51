import { VerificationResult } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import { exampleKey } from "../bot/example-bot.ts";
import { exchangeFault } from "../exchange/bybit-outcomes.ts";
import type { Exchange, ExchangeFault, KeyDescription } from "../exchange/exchange.ts";
import { amount } from "../money.ts";
import { verifyKey } from "./verify-key.ts";

const now = () => new Date("2026-01-02T03:04:05Z");

const good: KeyDescription = { ...exampleKey, expiresAt: "2026-06-01T00:00:00Z" };

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
    ["one that may transfer", { canTransfer: true }, "refused", "TransferAllowed"],
    ["one for every address", { addresses: [] }, "refused", "NoAddressList"],
    ["one that expires later", { expiresAt: "2026-01-02T03:04:06Z" }, "verified", "Verified"],
    ["one that only reads", { readOnly: true }, "refused", "ReadOnly"],
    ["one without trading", { canTrade: false }, "refused", "TradingNotAllowed"],
    ["hedge mode", { hedgeMode: true }, "refused", "HedgeMode"],
    ["expired", { expiresAt: "2026-01-02T03:04:05Z" }, "refused", "KeyExpired"],
    ["one that does not expire", { expiresAt: undefined }, "verified", "Verified"],
  ])("%s", async (...[, change, state, reason]) => {
    const result = await verifyKey({
      exchange: exchangeWith({ ...good, ...change }),
      realMoney: true,
      now,
    });
    expect(result).toMatchObject({ state, reason, balance: "10000.5", currency: "USDT" });
    expect(VerificationResult.safeParse(result).success).toBe(true);
  });
});

test("where no real money is at stake a key needs no address list", async () => {
  const exchange = exchangeWith({ ...good, addresses: [] });
  expect(await verifyKey({ exchange, realMoney: false, now })).toMatchObject({ state: "verified" });
});

test("a key without money is fit, and the user reads that there is none", async () => {
  const none = amount("0");
  const exchange = {
    ...exchangeWith(good),
    balance: async () => ({ equity: none, available: none, currency: "USDT" }),
  };
  const result = await verifyKey({ exchange, realMoney: true, now });
  expect(result).toMatchObject({ state: "verified", balance: "0" });
  expect(result.message).toContain("the account holds no USDT yet");
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
    const result = await verifyKey({
      exchange: { ...exchangeWith(good), describeKey },
      realMoney: true,
      now,
    });
    expect(result).toMatchObject({ state, reason, permissions: [] });
    expect(VerificationResult.safeParse(result).success).toBe(true);
  });

  test("an answer that nobody foresaw", async () => {
    const broken = Promise.reject(new TypeError("x is not a function"));
    const result = await verifyKey({
      exchange: { ...exchangeWith(good), describeKey: () => broken },
      realMoney: true,
      now,
    });
    expect(result).toMatchObject({ state: "unavailable", reason: "UnexpectedAnswer" });
  });
});
