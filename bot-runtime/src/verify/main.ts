import { readFile } from "node:fs/promises";
import { writeFileSync } from "node:fs";
import { capability, POD_PATHS, type VerificationResult, VerifyConfig } from "@tradingbots/crds";
import { openExchange } from "../exchange/open-exchange.ts";
import { isRealMoney } from "../risk/key-checks.ts";
import { failedVerification, verifyKey } from "./verify-key.ts";

const environment = {
  // Where a pod has them; other paths are for running it outside of one.
  configFile: process.env["CONFIG_FILE"] ?? POD_PATHS.config,
  credentialsFile: process.env["CREDENTIALS_FILE"] ?? POD_PATHS.credentials,
  terminationFile: process.env["TERMINATION_FILE"] ?? POD_PATHS.terminationMessage,
};

/** Asks the exchange about the key that Vault gave, once. Whatever comes of it is a result, and the exit code is 0. */
async function verify(): Promise<VerificationResult> {
  const config = VerifyConfig.parse(JSON.parse(await readFile(environment.configFile, "utf8")));
  const support = capability(config.exchange, []);
  if (!support.supported) {
    const verdict = { state: "refused" as const, reason: "Unsupported", message: support.message };
    return failedVerification(verdict, new Date());
  }
  const exchange = await openExchange(config, environment.credentialsFile);
  return verifyKey({ exchange, realMoney: isRealMoney(config), now: () => new Date() });
}

function unavailable(error: unknown): VerificationResult {
  const message = error instanceof Error ? error.message : String(error);
  const verdict = { state: "unavailable" as const, reason: "VerificationFailed", message };
  return failedVerification(verdict, new Date());
}

const result = JSON.stringify(await verify().catch(unavailable));
writeFileSync(environment.terminationFile, result);
process.stdout.write(`${result}\n`);
// Kept connections would hold the process for as long as they idle.
process.exit(0);
