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

const APP = { APP_URL: "https://app.example.com" };
const SMTP = { SMTP_URL: "smtps://user:pass@mail.example.com" };
const FROM = { MAIL_FROM: "noreply@example.com" };
const HOOK = { MAIL_WEBHOOK_URL: "https://provider.example.com/messages" };

test.each([
  ["nothing", {}],
  ["a mail server", { ...SMTP, ...FROM, ...APP }],
  ["a webhook", { ...HOOK, ...APP }],
])("mails with %s are accepted", (_name, env) => {
  expect(() => loadConfig({ ...ENOUGH, ...env })).not.toThrow();
});

test.each([
  ["both", { ...SMTP, ...FROM, ...HOOK, ...APP }, /MAIL_WEBHOOK_URL/],
  ["a mail server without a sender", { ...SMTP, ...APP }, /MAIL_FROM/],
  ["a mail server without a place for links", { ...SMTP, ...FROM }, /APP_URL/],
  ["another protocol", { ...APP, SMTP_URL: "https://mail.example.com" }, /SMTP_URL/],
])("mails with %s are refused", (_name, env, refusal) => {
  expect(() => loadConfig({ ...ENOUGH, ...env })).toThrow(refusal);
});
