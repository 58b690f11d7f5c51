import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { eventually } from "../../platform/eventually.ts";

test("servers and their data do not outlive a runner that is killed", async () => {
  const main = join(import.meta.dirname, "..", "main.ts");
  const runner = spawn(process.execPath, [main], { stdio: ["ignore", "pipe", "inherit"] });
  const output = createInterface({ input: runner.stdout });
  let kubeconfig: string | undefined;
  output.on("line", (line) => (kubeconfig ??= /KUBECONFIG=(.+)/.exec(line)?.[1]));
  const found = await eventually({
    what: "the control plane says where it is",
    withinMs: 60_000,
    probe: async () => kubeconfig,
  });
  const directory = join(found, "..");
  expect(existsSync(directory)).toBe(true);
  runner.kill("SIGKILL");
  await once(runner, "exit");
  await eventually({
    what: "the data are removed",
    withinMs: 20_000,
    probe: async () => !existsSync(directory) || undefined,
  });
});
