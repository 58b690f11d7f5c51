import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { readClusterRecord } from "../cluster/cluster.ts";
import { takeDown } from "../cluster/lifecycle.ts";
import { bringUpPlatform, type Platform } from "../platform/platform.ts";
import { simulatorClient } from "../platform/simulator-client.ts";
import { cacheDirectory, withLock } from "../tools/cache.ts";
import { useForeignCluster } from "./foreign-cluster.ts";
import { summaryOf } from "./results.ts";

// The end-to-end tests, on a kind cluster of their own that is removed afterwards.
//   E2E_KEEP=1            leaves what was brought up, for a look, and goes on with what was left
//   E2E_KUBECONFIG=FILE   uses this cluster instead; E2E_IMAGES=FILE names images that it has or can pull
// Arguments go to vitest: a part of a file's name, `-t` and a part of a test's name.

const build = join(import.meta.dirname, "..", "..", ".build");
const directory = join(build, "e2e");
const platformFile = join(directory, "platform.json");
const resultsFile = join(directory, "results.json");
/** The recorded market lasts 29 minutes at this speed. */
const CANDLES_PER_SECOND = 8;
const isKept = process.env["E2E_KEEP"] !== undefined;

interface Stage {
  readonly platform: Platform;
  remove(): Promise<void>;
}

async function ownCluster(): Promise<Stage> {
  const cluster = { name: "tradingbots-e2e", kubeconfig: join(directory, "kubeconfig") };
  const remove = () => takeDown(cluster);
  // A run that was killed, maybe in another checkout, left a Vault whose unseal key nobody has.
  const isOwn = (await readClusterRecord(cluster.name)) !== undefined;
  if (!(isOwn && isKept)) await remove();
  try {
    return { platform: await bringUpPlatform(cluster), remove };
  } catch (error) {
    if (!isKept) await remove();
    throw error;
  }
}

/** Runs the tests and answers what they have measured and how many passed and failed. */
async function runTests(
  platform: Platform,
): Promise<{ readonly passed: boolean; readonly summary: string }> {
  await writeFile(platformFile, JSON.stringify(platform), { mode: 0o600 });
  await simulatorClient(platform.simulatorUrl).setSpeed(CANDLES_PER_SECOND);
  const { failed } = await execa(
    "vitest",
    [
      "run",
      `--root=${import.meta.dirname}`,
      "--reporter=default",
      "--reporter=json",
      `--outputFile=${resultsFile}`,
      ...process.argv.slice(2),
    ],
    {
      stdio: "inherit",
      reject: false,
      env: { E2E_PLATFORM_FILE: platformFile, E2E_CANDLES_PER_SECOND: String(CANDLES_PER_SECOND) },
    },
  );
  return { passed: !failed, summary: summaryOf(await readFile(resultsFile, "utf8")) };
}

async function runOn(setStage: () => Promise<Stage>): Promise<void> {
  const stage = await setStage();
  try {
    const outcome = await runTests(stage.platform);
    process.exitCode = outcome.passed ? 0 : 1;
    // Last of all, after what the removal says.
    process.once("exit", () => console.log(outcome.summary));
  } finally {
    if (!isKept) await stage.remove();
  }
}

await mkdir(directory, { recursive: true });
const kubeconfig = process.env["E2E_KUBECONFIG"];
if (kubeconfig === undefined) {
  // The cluster's name is one for all checkouts of this machine: a second run waits for the first.
  await withLock(join(cacheDirectory, "e2e.lock"), () => runOn(ownCluster));
} else {
  const imagesFile = process.env["E2E_IMAGES"] ?? join(build, "images.json");
  const keyFile = join(directory, "unseal-key");
  await runOn(() => useForeignCluster({ kubeconfig, imagesFile, keyFile }));
}
