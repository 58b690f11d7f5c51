import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { takeDown } from "../cluster/lifecycle.ts";
import { bringUpPlatform } from "../platform/platform.ts";
import { simulatorClient } from "../platform/simulator-client.ts";

// The end-to-end tests on a cluster of their own, which is removed afterwards; E2E_KEEP=1 leaves it for a look.

const directory = join(import.meta.dirname, "..", "..", ".build", "e2e");
const cluster = { name: "tradingbots-e2e", kubeconfig: join(directory, "kubeconfig") };
const platformFile = join(directory, "platform.json");
/** The recorded market lasts 29 minutes at this speed. */
const CANDLES_PER_SECOND = 8;

let failed = true;
try {
  const platform = await bringUpPlatform(cluster);
  await mkdir(directory, { recursive: true });
  await writeFile(platformFile, JSON.stringify(platform), { mode: 0o600 });
  await simulatorClient(platform.simulatorUrl).setSpeed(CANDLES_PER_SECOND);
  const tests = await execa(
    "vitest",
    ["run", "--root", import.meta.dirname, ...process.argv.slice(2)],
    {
      stdio: "inherit",
      reject: false,
      env: { E2E_PLATFORM_FILE: platformFile, E2E_CANDLES_PER_SECOND: String(CANDLES_PER_SECOND) },
    },
  );
  failed = tests.failed;
} finally {
  if (process.env["E2E_KEEP"] === undefined) await takeDown(cluster);
}
process.exitCode = failed ? 1 : 0;
