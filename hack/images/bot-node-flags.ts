import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PAPER_PROCESS } from "@tradingbots/crds";
import { z } from "zod";

/** How the bot's image, and for paper bots the operator too, start Node: for those who measure bots without a pod. */
export function botProcess(mode: "live" | "paper"): {
  readonly flags: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
} {
  const flags = nodeFlags("bot");
  const environment = imageEnvironment("bot");
  if (mode === "live") return { flags, environment };
  const ofPaper = new Map<string, string>(
    PAPER_PROCESS.environment.map(({ name, value }) => [name, value]),
  );
  return {
    flags: [...flags, ...PAPER_PROCESS.flags],
    environment: { ...environment, ...Object.fromEntries(ofPaper) },
  };
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
