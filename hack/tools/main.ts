import { describeError } from "./describe-error.ts";
import { isToolName, toolNames, toolPath } from "./tools.ts";

const usage = `usage: node hack/tools/main.ts [name...]
Compiles pinned Go tools (all by default) and prints where each lies.
names: ${toolNames.join(" ")}`;

const names = process.argv.slice(2);
const unknown = names.filter((name) => !isToolName(name));
if (unknown.length > 0) {
  console.error(names.includes("--help") ? usage : `unknown: ${unknown.join(", ")}\n${usage}`);
  process.exit(2);
}
try {
  // One after the other: a single Go build already uses every core.
  for (const name of names.length > 0 ? names.filter(isToolName) : toolNames) {
    const path = await toolPath(name, (line) => console.error(line));
    console.log(`${name}\t${path}`);
  }
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
