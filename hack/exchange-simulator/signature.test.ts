import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { createAccount } from "./account.ts";
import { BybitError } from "./bybit-error.ts";
import type { ApiKey } from "./exchange.ts";
import { Decimal } from "./money.ts";
import { authenticate } from "./signature.ts";

const NOW_MS = 1_750_000_000_000;
const SECRET = "secret";
const key: ApiKey = {
  apiKey: "key",
  apiSecret: SECRET,
  account: createAccount(1, new Decimal(0)),
  permissions: {},
  readOnly: false,
  ips: ["*"],
  createdMs: 0,
  expiresMs: NOW_MS + 1,
  revoked: false,
};

interface Sent {
  readonly timestamp?: number;
  readonly window?: string;
  readonly apiKey?: string;
  readonly secret?: string;
  readonly payload?: string;
}

function signedRequest(sent: Sent) {
  const {
    timestamp = NOW_MS,
    window = "5000",
    apiKey = "key",
    secret = SECRET,
    payload = "a=1",
  } = sent;
  const signed = `${timestamp}${apiKey}${window}${payload}`;
  return {
    payload: "a=1",
    address: "10.0.0.1",
    headers: {
      "x-bapi-api-key": apiKey,
      "x-bapi-timestamp": `${timestamp}`,
      "x-bapi-recv-window": window,
      "x-bapi-sign": createHmac("sha256", secret).update(signed).digest("hex"),
    },
  };
}

test.for<[name: string, sent: Sent, keyChanges: Partial<ApiKey>, retCode: number]>([
  ["a good request", {}, {}, 0],
  ["the oldest timestamp inside the window", { timestamp: NOW_MS - 5_000 }, {}, 0],
  ["a timestamp before the window", { timestamp: NOW_MS - 5_001 }, {}, 10002],
  ["a timestamp just ahead", { timestamp: NOW_MS + 999 }, {}, 0],
  ["a timestamp too far ahead", { timestamp: NOW_MS + 1_000 }, {}, 10002],
  ["a wider window", { timestamp: NOW_MS - 9_000, window: "10000" }, {}, 0],
  ["a window that is no number", { window: "x" }, {}, 10002],
  ["an unknown key", { apiKey: "other" }, {}, 10003],
  ["a revoked key", {}, { revoked: true }, 10003],
  ["another secret", { secret: "wrong" }, {}, 10004],
  ["another payload than the signed one", { payload: "a=2" }, {}, 10004],
  ["an expired key", {}, { expiresMs: NOW_MS }, 33004],
  ["an address that the key is not bound to", {}, { ips: ["10.0.0.2"] }, 10010],
  ["an address that the key is bound to", {}, { ips: ["10.0.0.1"] }, 0],
  ["no key at all", { apiKey: "" }, {}, 10001],
])("signature: %s", ([, sent, keyChanges, retCode]) => {
  const keys = {
    findKey: (name: string) => (name === "key" ? { ...key, ...keyChanges } : undefined),
  };
  expect(outcome(() => authenticate(signedRequest(sent), keys, NOW_MS))).toBe(retCode);
});

function outcome(attempt: () => ApiKey): number {
  try {
    return attempt().apiKey === "key" ? 0 : -1;
  } catch (error) {
    if (error instanceof BybitError) return error.retCode;
    throw error;
  }
}
