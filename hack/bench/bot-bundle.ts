import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { botProcess } from "../images/bot-node-flags.ts";
import { bundle } from "../images/bundle.ts";
import { COMPILED, compileAhead } from "../images/compile-cache.ts";
import { botBundle } from "../images/images.ts";

/** The programs of the bot's image, and of the benchmark, made as the image makes them. */
export interface BotBundle {
  /** Flags and file for `node`. */
  readonly program: (name: "bot" | "order-path", mode?: "live" | "paper") => readonly string[];
  /** Of the image, besides what a pod has. */
  readonly environment: (mode: "live" | "paper") => Readonly<Record<string, string>>;
  readonly remove: () => Promise<void>;
}

export async function bundleBot(): Promise<BotBundle> {
  const directory = await mkdtemp(join(tmpdir(), "bench-bot-"));
  // Apart: what only the benchmark uses would be in the bot's memory.
  const orderPath = { "order-path": "hack/bench/order-path-program.ts" };
  await bundle(botBundle, join(directory, "bot"));
  await compileAhead(join(directory, "bot"), process.getuid?.() ?? 0);
  await bundle({ entries: orderPath, small: true }, join(directory, "order-path"));
  return {
    program: (name, mode = "live") => [
      ...botProcess(mode).flags,
      join(directory, name, `${name}.mjs`),
    ],
    environment: (mode) => ({
      ...botProcess(mode).environment,
      NODE_COMPILE_CACHE: join(directory, "bot", COMPILED),
    }),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
