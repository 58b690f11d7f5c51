import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type VerifyConfig, VerificationResult } from "@tradingbots/crds";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type ExchangeSimulator,
  startExchangeSimulator,
} from "../../hack/exchange-simulator/server.ts";
import { createExchange } from "../src/exchange/bybit-ccxt.ts";

const MAIN = fileURLToPath(new URL("../src/verify/main.ts", import.meta.url));
const TRADING = { ContractTrade: ["Order", "Position"] };
const SECRET = "the-secret-that-nobody-may-see";

let exchange: ExchangeSimulator;
beforeAll(async () => {
  exchange = await startExchangeSimulator({ speed: "lockstep", skewMs: 4_000 });
});
afterAll(() => exchange.close());

/** Runs the verification as a pod would. */
async function verify(given: {
  readonly apiKey: string;
  readonly apiSecret?: string;
  readonly config?: Partial<VerifyConfig>;
}): Promise<VerificationResult> {
  const directory = await mkdtemp(join(tmpdir(), "verify-"));
  const file = (name: string) => join(directory, name);
  const config = {
    namespace: "tradingbots-00",
    userId: "7a1b2c3d-4e5f-4061-8293-a4b5c6d7e8f9",
    accountName: "acct-aaaaaaaaaaaaaaaaaaaa",
    exchange: "bybit",
    mode: "live",
    endpoint: { restUrl: exchange.url, websocketUrl: exchange.websocketUrl },
    ...given.config,
  };
  const { apiKey, apiSecret = SECRET } = given;
  await writeFile(file("config.json"), JSON.stringify(config));
  await writeFile(file("credentials.json"), JSON.stringify({ apiKey, apiSecret }));
  try {
    // Throws when the exit code is not 0.
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [MAIN], {
      env: {
        CONFIG_FILE: file("config.json"),
        CREDENTIALS_FILE: file("credentials.json"),
        TERMINATION_FILE: file("termination.json"),
      },
    });
    const message = await readFile(file("termination.json"), "utf8");
    expect(`${stdout}${stderr}${message}`).not.toContain(apiSecret);
    expect(stdout.trim()).toBe(message);
    return VerificationResult.parse(JSON.parse(message));
  } finally {
    await rm(directory, { recursive: true });
  }
}

describe("a key that the exchange knows", () => {
  test.each([
    ["may trade", { permissions: TRADING }, "verified", "Verified"],
    [
      "may withdraw",
      { permissions: { ...TRADING, Wallet: ["AccountTransfer", "Withdraw"] } },
      "refused",
      "WithdrawalAllowed",
    ],
    [
      "may transfer",
      { permissions: { ...TRADING, Wallet: ["AccountTransfer"] } },
      "refused",
      "TransferAllowed",
    ],
    [
      "may not trade",
      { permissions: { ContractTrade: [], Derivatives: [], Spot: ["SpotTrade"] } },
      "refused",
      "TradingNotAllowed",
    ],
    ["may only read", { permissions: TRADING, readOnly: true }, "refused", "ReadOnly"],
  ])("%s", async (...[name, registration, state, reason]) => {
    const apiKey = `key that ${name}`.replaceAll(" ", "-");
    exchange.control.addKey({ apiKey, apiSecret: SECRET, balance: "1234.5", ...registration });
    const result = await verify({ apiKey });
    expect(result).toMatchObject({ state, reason, balance: "1234.5", currency: "USDT" });
    expect(result.exchangeAccountId).toMatch(/^\d+$/);
  });
});

test("a key without money is fit, and its owner reads that there is none", async () => {
  exchange.control.addKey({ apiKey: "poor", apiSecret: SECRET, balance: "0" });
  const result = await verify({ apiKey: "poor" });
  expect(result).toMatchObject({ state: "verified", balance: "0" });
  expect(result.message).toContain("holds no USDT yet");
});

describe("the addresses that a key is bound to", () => {
  test.each([
    ["bound", ["127.0.0.1"], ["127.0.0.1"]],
    ["unbound", ["*"], []],
  ])("%s", async (...[apiKey, ips, addresses]) => {
    const credentials = { apiKey, apiSecret: SECRET };
    exchange.control.addKey({ ...credentials, balance: "1", ips });
    const client = createExchange({
      key: { reveal: () => credentials, scrub: (text) => text },
      testnet: false,
      restUrl: exchange.url,
    });
    expect((await client.describeKey()).addresses).toEqual(addresses);
  });
});

describe("a key that cannot be checked", () => {
  test("unknown to the exchange", async () => {
    expect(await verify({ apiKey: "nobody" })).toMatchObject({
      state: "refused",
      reason: "InvalidKey",
    });
  });

  test("a wrong secret", async () => {
    exchange.control.addKey({ apiKey: "known", apiSecret: SECRET, balance: "1" });
    const result = await verify({ apiKey: "known", apiSecret: "another-secret" });
    expect(result).toMatchObject({ state: "refused", reason: "InvalidKey" });
  });

  test("one that has expired", async () => {
    const expiresMs = Date.now() - 60_000;
    exchange.control.addKey({ apiKey: "old", apiSecret: SECRET, balance: "1", expiresMs });
    const result = await verify({ apiKey: "old" });
    expect(result).toMatchObject({ state: "refused" });
    expect(result.message).toMatch(/expired/i);
  });

  test("an exchange out of reach", async () => {
    const endpoint = { restUrl: "http://127.0.0.1:1", websocketUrl: "ws://127.0.0.1:1" };
    const result = await verify({ apiKey: "known", config: { endpoint } });
    expect(result).toMatchObject({ state: "unavailable", reason: "ExchangeUnavailable" });
  });

  test("an exchange that is not supported", async () => {
    const result = await verify({ apiKey: "known", config: { exchange: "kraken" } });
    expect(result).toMatchObject({ state: "refused", reason: "Unsupported" });
  });
});
