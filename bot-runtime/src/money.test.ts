import { describe, expect, test } from "vitest";
import { amount, meanPrice, price, quantity, roundToStep, text, value } from "./money.ts";

describe("exact text", () => {
  test.each([
    ["0.1", "0.1"],
    ["100.500", "100.5"],
    ["-0", "0"],
    ["0.000000000000000001", "0.000000000000000001"],
    ["123456789012345678901234567890.5", "123456789012345678901234567890.5"],
  ])("%s → %s", (given, wanted) => {
    expect(text(amount(given))).toBe(wanted);
  });

  test.each(["NaN", "Infinity"])("%s is no amount", (given) => {
    expect(() => amount(given)).toThrow("not an amount");
  });
});

describe("steps", () => {
  test.each([
    ["100.04", "0.1", "100"],
    ["100.05", "0.1", "100.1"],
    ["99.4999", "0.5", "99.5"],
  ])("%s rounded to %s is %s", (given, step, wanted) => {
    expect(text(roundToStep(price(given), price(step)))).toBe(wanted);
  });
});

test("a product is exact where a double is not", () => {
  expect(text(value(price("0.1"), quantity("0.2")))).toBe("0.02");
  expect(text(value(price("107123.4"), quantity("0.046")))).toBe("4927.6764");
});

test("a mean price keeps sixteen places", () => {
  expect(text(meanPrice(amount("10"), quantity("3")))).toBe("3.3333333333333333");
});
