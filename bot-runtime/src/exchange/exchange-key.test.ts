import { inspect } from "node:util";
import { expect, test } from "vitest";
import { ExchangeKey } from "./exchange-key.ts";

const key = new ExchangeKey({ apiKey: "visible-key", apiSecret: "visible-secret" });

test.each([
  ["JSON", () => JSON.stringify({ key })],
  ["inspection", () => inspect({ key }, { depth: 9, showHidden: true })],
  ["concatenation", () => `the key ${key.toString()}`],
  ["an echoed message", () => key.scrub("sign of visible-key with visible-secret")],
])("%s shows no value", (_name, print) => {
  expect(print()).not.toContain("visible");
});
