import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { BotConfig } from "@tradingbots/crds";
import { afterAll, beforeAll, expect, test } from "vitest";
import { toolPath } from "../../hack/tools/tools.ts";
import { type OperatorUnderTest, type Platform, startOperator, startPlatform } from "./platform.ts";
import { eventually, runningBot } from "./scenes.ts";

/** `kubectl tradingbots` as its process, with the real kubectl. */

const MAIN = join(import.meta.dirname, "../src/plugin/main.ts");
const run = promisify(execFile);
let platform: Platform;
let under: OperatorUnderTest;

beforeAll(async () => {
  platform = await startPlatform();
  under = await startOperator(platform);
});
afterAll(async () => {
  await under?.stop();
  await platform?.stop();
});

async function plugin(...args: readonly string[]): Promise<string> {
  const env = {
    PATH: `${dirname(await toolPath("kubectl"))}:${dirname(process.execPath)}`,
    HOME: dirname(platform.kubeconfigPath), // for kubectl's cache
  };
  const flag = `--kubeconfig=${platform.kubeconfigPath}`;
  const { stdout } = await run(process.execPath, [MAIN, ...args, flag], { env });
  return stdout;
}

test("tells why a bot is as it is, counts bots, and puts a halt in force and lifts it", async () => {
  const { name } = await runningBot({ platform, under });
  const refused = await platform.createBot({ className: "no-such-class" });
  await eventually(() => platform.ready(refused)).toBe("False ClassNotFound");

  await eventually(() => plugin("why", refused)).toMatch(
    /Events\n\d+s +ClassNotFound +There is no/,
  );
  expect(await plugin("why", refused)).toMatch(/^Ready +False +ClassNotFound +\d+s +There is no/m);
  expect(await plugin("why", refused)).toContain("No pod.");
  expect(await plugin("report")).toMatch(/^Bots 2$[^]*^1 +Running +False +ClassNotFound +bot-/m);

  const told = plugin("halt", "a", "test", "--scope", `bot=${name}`, "--action", "CancelOrders");
  await eventually(() => platform.config(name)).toMatchObject({ halts: [{}] });
  const [halt] = BotConfig.parse(await platform.config(name)).halts;
  under.report(name, (await platform.pod(name))?.metadata?.uid ?? "", { halts: [halt?.uid ?? ""] });
  expect(await told).toContain(`${halt?.name}: 1 of 1 bots obey`);
  expect(await plugin("why", name)).toContain(`Halt ${halt?.name}: CancelOrders (a test)`);
  await plugin("lift", halt?.name ?? "");
  await eventually(() => platform.config(name)).toMatchObject({ halts: [] });
});

test.each([
  { name: "no command", args: [], sentence: "usage: kubectl tradingbots" },
  { name: "a bot that is none", args: ["why", "bot-nobody"], sentence: "there is no bot" },
  {
    name: "a halt of a bot that is none",
    args: ["halt", "x", "--scope", "bot=bot-nobody"],
    sentence: "there is no bot bot-nobody: nothing is halted",
  },
  { name: "a scope that is none", args: ["halt", "x", "--scope", "every"], sentence: "scope" },
])("$name: $sentence", async ({ args, sentence }) => {
  await expect(plugin(...args)).rejects.toThrow(sentence);
});
