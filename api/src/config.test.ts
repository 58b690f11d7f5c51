import { expect, test } from "vitest";
import { loadConfig } from "./config.ts";

const ENOUGH = {
  DATABASE_URL: "postgres://api@db/tradingbots",
  AUTH_DATABASE_URL: "postgres://auth@db/tradingbots",
  ADMIN_DATABASE_URL: "postgres://admin@db/tradingbots",
  WORKER_DATABASE_URL: "postgres://worker@db/tradingbots",
  VAULT_ADDR: "http://vault:8200",
  JWT_PRIVATE_KEY_FILE: "/key.pem",
  SERVICE_KEY_FILE: "/service.key",
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

test("a mistake is told by the setting's name and never its value", () => {
  const env = { ...ENOUGH, DATABASE_URL: "//api:s3cret@db", REDIS_URL: "http://:s3cret@redis" };
  expect(() => loadConfig(env)).toThrow(/^(?![^]*s3cret)[^]*DATABASE_URL[^]*REDIS_URL/);
});

const APP = { APP_URL: "https://app.example.com" };
const SMTP = { SMTP_URL_FILE: "/mail/smtp-url" };
const HOOK = { MAIL_WEBHOOK_URL_FILE: "/mail/webhook-url" };

test.each([
  ["nothing", {}],
  ["a mail server", { ...SMTP, ...APP }],
  ["a webhook", { ...HOOK, ...APP }],
  ["one of the two", { ...SMTP, ...HOOK, ...APP }],
])("mails with %s are accepted", (_name, env) => {
  expect(() => loadConfig({ ...ENOUGH, ...env })).not.toThrow();
});

test.each([
  ["a mail server without a place for links", SMTP, /APP_URL/],
  ["a webhook without a place for links", HOOK, /APP_URL/],
])("mails with %s are refused", (_name, env, refusal) => {
  expect(() => loadConfig({ ...ENOUGH, ...env })).toThrow(refusal);
});
