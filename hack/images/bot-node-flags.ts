import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** The flags of Node that the bot's image sets, and the operator for paper bots, for those who measure bots without a pod. */
export function botNodeFlags(mode: "live" | "paper"): readonly string[] {
  const flags = nodeFlags("bot");
  return mode === "paper" ? [...flags, "--lite-mode", "--expose-gc"] : flags;
}

/** The flags of Node that an image sets. */
export function nodeFlags(image: "api" | "bot" | "operator"): readonly string[] {
  const [, entryPoint = ""] = /^ENTRYPOINT (\[.*\])$/m.exec(dockerfileOf(image)) ?? [];
  const [program, ...flags] = z.array(z.string()).parse(JSON.parse(entryPoint));
  if (program !== "node") throw new Error(`the image ${image} does not start node`);
  return flags;
}

/** The environment that an image sets. */
export function imageEnvironment(image: "bot" | "operator"): Readonly<Record<string, string>> {
  const lines = dockerfileOf(image).matchAll(/^ENV (\w+)=(\S+)$/gm);
  return Object.fromEntries([...lines].map(([, name = "", value = ""]) => [name, value]));
}

function dockerfileOf(image: "api" | "bot" | "operator"): string {
  return readFileSync(join(import.meta.dirname, image, "Dockerfile"), "utf8");
}
