import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { execa } from "execa";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

/** Alerts that ask for what nobody tells never fire, and nobody notices. */

const repository = resolve(import.meta.dirname, "../../..");
const chart = join(repository, "charts/tradingbots");
const Rules = z.object({
  groups: z.array(z.object({ rules: z.array(z.object({ alert: z.string(), expr: z.string() })) })),
});
const Dashboard = z.object({
  panels: z.array(
    z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })) }),
  ),
});

async function rules() {
  const text = await readFile(join(chart, "files/monitoring/alerts.yaml"), "utf8");
  return Rules.parse(parse(text)).groups.flatMap((group) => group.rules);
}

/** Every name of a metric that the programs' sources hold. */
async function sources(): Promise<string> {
  const folders = ["operator/src", "bot-runtime/src/bot", "api/src"];
  const files = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(join(repository, folder), { recursive: true });
      const own = names.filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
      return Promise.all(own.map((name) => readFile(join(repository, folder, name), "utf8")));
    }),
  );
  return files.flat().join("\n");
}

/** prom-client adds these to a histogram's name. */
const metricsIn = (expr: string) =>
  [...expr.matchAll(/\b(?:tradingbots|bot|http|process)_[a-z_]+/g)].map(([name]) =>
    name.replace(/_(?:bucket|count)$/, ""),
  );

it("each alert has its runbook, and each runbook its alert", async () => {
  const text = await readFile(join(chart, "RUNBOOKS.md"), "utf8");
  const headings = [...text.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
  expect(headings).toEqual((await rules()).map(({ alert }) => alert));
});

it("alerts and dashboard ask for metrics that are told", async () => {
  const dashboard: unknown = JSON.parse(
    await readFile(join(chart, "files/monitoring/dashboard.json"), "utf8"),
  );
  const expressions = [
    ...(await rules()).map(({ expr }) => expr),
    ...Dashboard.parse(dashboard).panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
  ];
  const told = await sources();
  const asked = [...new Set(expressions.flatMap(metricsIn))];
  expect(asked.length).toBeGreaterThan(10);
  expect(asked.filter((name) => !told.includes(`"${name}"`))).toEqual([]);
});

const { exitCode } = await execa("promtool", ["--version"], { reject: false });
it.skipIf(exitCode !== 0)("promtool: the rules are sound and fire when they should", async () => {
  const check = ["check", "rules", join(chart, "files/monitoring/alerts.yaml")];
  expect((await execa("promtool", check)).stdout).toContain("SUCCESS");
  const tested = await execa("promtool", ["test", "rules", "alerts.yaml"], {
    cwd: import.meta.dirname,
  });
  expect(tested.stdout).toContain("SUCCESS");
});
