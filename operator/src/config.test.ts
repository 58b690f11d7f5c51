import { expect, test } from "vitest";
import { loadConfig } from "./config.ts";

const env = {
  POD_NAMESPACE: "tradingbots",
  POD_NAME: "operator-0",
  VAULT_ADDR: "http://vault:8200",
  VAULT_AGENT_IMAGE: "vault:1",
  JOURNAL_URL: "http://journal:8081",
};

test("fills in what is usual", () => {
  expect(loadConfig(env)).toMatchObject({
    namespaces: ["tradingbots-00", "tradingbots-01", "tradingbots-02", "tradingbots-03"],
    port: 8082,
    verifyClass: "free",
    classes: undefined,
    vault: { tokenFile: "/var/run/secrets/tradingbots/vault/token" },
    pods: { imagePullPolicy: "IfNotPresent", vaultImage: "vault:1" },
  });
});

test("knows the classes whose pods the cluster admits", () => {
  expect(loadConfig({ ...env, CLASSES: "free,pro" }).classes).toEqual(["free", "pro"]);
});

test("lists every mistake", () => {
  expect(() =>
    loadConfig({ ...env, POD_NAME: undefined, BUCKETS: "0", VAULT_ADDR: "vault" }),
  ).toThrow(/POD_NAME[^]*BUCKETS[^]*VAULT_ADDR/);
});
