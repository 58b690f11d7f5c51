import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { startVitest } from "vitest/node";
import { summaryOf } from "../results.ts";

const TESTS = `
import { expect, test } from "vitest";
test("measures", ({ task }) => { task.meta.figure = "start_to_ready_ms 1234"; });
test("measures nothing", () => {});
test("fails", () => expect(1).toBe(2));
`;

test("figures that tests have taken come before the count of those that passed and failed", async () => {
  const root = await mkdtemp(join(import.meta.dirname, "run-"));
  onTestFinished(() => rm(root, { recursive: true }));
  await writeFile(join(root, "sample.e2e.ts"), TESTS);
  const outputFile = join(root, "results.json");
  const exitCode = process.exitCode;
  const run = await startVitest([], {
    root,
    include: ["*.e2e.ts"],
    config: false,
    watch: false,
    reporters: ["json"],
    outputFile,
  });
  await run.close();
  process.exitCode = exitCode;
  expect(summaryOf(await readFile(outputFile, "utf8"))).toBe(
    "start_to_ready_ms 1234\n2 passed, 1 failed",
  );
});
