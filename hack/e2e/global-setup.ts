import { readFileSync } from "node:fs";
import type { TestProject } from "vitest/node";
import { Platform } from "../platform/platform.ts";

declare module "vitest" {
  interface ProvidedContext {
    platform: Platform;
  }
}

/** Hands the tests what `main.ts` brought up. */
export function setup(project: TestProject): void {
  const file = process.env["E2E_PLATFORM_FILE"];
  if (file === undefined) throw new Error("run the end-to-end tests with `make e2e`");
  project.provide("platform", Platform.parse(JSON.parse(readFileSync(file, "utf8"))));
}
