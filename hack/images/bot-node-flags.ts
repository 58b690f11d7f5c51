import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** The flags of Node that the bot's image sets, and the operator for paper bots, for those who measure bots without a pod. */
export function botNodeFlags(mode: "live" | "paper"): readonly string[] {
  const flags = nodeFlags("bot");
  return mode === "paper" ? [...flags, "--lite-mode"] : flags;
}

/** The flags of Node that an image sets. */
export function nodeFlags(image: "bot" | "operator"): readonly string[] {
  const dockerfile = readFileSync(join(import.meta.dirname, image, "Dockerfile"), "utf8");
  const [, entryPoint = ""] = /^ENTRYPOINT (\[.*\])$/m.exec(dockerfile) ?? [];
  const [program, ...flags] = z.array(z.string()).parse(JSON.parse(entryPoint));
  if (program !== "node") throw new Error(`the image ${image} does not start node`);
  return flags;
}
