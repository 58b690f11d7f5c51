import { describe, expect, test } from "vitest";
import { BYBIT_OUTCOMES, faultOfError, outcomeOfError, readError } from "./bybit-outcomes.ts";

class InvalidOrder extends Error {}
class NetworkError extends Error {}

function answer(retCode: number, retMsg = "why"): Error {
  return new InvalidOrder(`bybit {"retCode":${retCode},"retMsg":"${retMsg}","result":{},"time":1}`);
}

describe("what became of an order", () => {
  test.each<[string, unknown, string, string]>([
    ["balance too low", answer(110007), "refused", "110007"],
    ["below the minimum", answer(110094), "refused", "110094"],
    ["position is gone already", answer(110017), "refused", "110017"],
    ["outside the receive window", answer(10002), "refused", "10002"],
    ["rate limit", answer(10006), "refused", "10006"],
    ["duplicate id: look it up", answer(110072), "unknown", "110072"],
    ["server timeout: may be accepted", answer(10000), "unknown", "10000"],
    ["server error: may be accepted", answer(10016), "unknown", "10016"],
    ["a code that nobody knows", answer(987654), "unknown", "987654"],
    [
      "timeout",
      new NetworkError("bybit POST https://x request timed out (8000 ms)"),
      "unknown",
      "NetworkError",
    ],
    [
      "a page instead of JSON",
      new NetworkError("bybit 502 Bad Gateway <html>{}</html>"),
      "unknown",
      "NetworkError",
    ],
    ["something thrown by a bug", new TypeError("x is undefined"), "unknown", "TypeError"],
    ["something that is no error", "oops", "unknown", "Unexpected"],
  ])("%s", (...[, error, kind, code]) => {
    expect(outcomeOfError(error)).toMatchObject({ kind, code });
  });

  test.each([34040, 110043])("%i: the wish was fact already", (code) => {
    expect(outcomeOfError(answer(code)).kind).toBe("accepted");
  });
});

test.each<[string, number, boolean]>([
  ["rate limit", 10006, false],
  ["outside the receive window", 10002, false],
  ["key expired", 33004, false],
  ["balance too low", 110007, true],
  ["reduce-only rule", 110017, true],
])("%s refuses the order itself: %s %s", (...[, code, final]) => {
  expect(outcomeOfError(answer(code))).toMatchObject({ kind: "refused", final });
});

test.each<[number, string]>([
  [10003, "InvalidKey"],
  [33004, "InvalidKey"],
  [10005, "PermissionDenied"],
  [10006, "Unavailable"],
  [10016, "Unavailable"],
  [10001, "Refused"],
  [987_654, "Unavailable"],
])("a read that fails with %i is %s", (code, fault) => {
  expect(faultOfError(answer(code))).toMatchObject({
    name: "ExchangeFault",
    fault,
    code: `${code}`,
  });
});

test("every code stands in the table once", () => {
  const codes = BYBIT_OUTCOMES.map(({ code }) => code);
  expect(new Set(codes).size).toBe(codes.length);
});

test("long messages are cut", () => {
  expect(readError(answer(1, "x".repeat(5_000))).message.length).toBe(300);
});
