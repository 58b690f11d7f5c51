import { expect, test } from "vitest";
import { loadConfig } from "./config.ts";

const ENOUGH = {
  DATABASE_URL: "postgres://api@db/tradingbots",
  AUTH_DATABASE_URL: "postgres://auth@db/tradingbots",
  ADMIN_DATABASE_URL: "postgres://admin@db/tradingbots",
  WORKER_DATABASE_URL: "postgres://worker@db/tradingbots",
  VAULT_ADDR: "http://vault:8200",
  JWT_PRIVATE_KEY_FILE: "/key.pem",
};

test("defaults are those of the chart", () => {
  expect(loadConfig(ENOUGH)).toMatchObject({
    port: 8080,
    metricsPort: 9090,
    buckets: 4,
    vault: { tokenFile: "/var/run/secrets/tradingbots/vault/token" },
    requestsPerMinute: { free: 60, pro: 300, enterprise: 1_000, address: 60 },
    logLevel: "info",
  });
});

test("every mistake is listed", () => {
  const { JWT_PRIVATE_KEY_FILE: _, ...rest } = ENOUGH;
  expect(() => loadConfig({ ...rest, PORT: "many", BUCKETS: "0" })).toThrow(
    /PORT[^]*JWT_PRIVATE_KEY_FILE[^]*BUCKETS/,
  );
});
