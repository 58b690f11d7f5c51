import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "..", "..", "..");
const TSC = join(ROOT, "node_modules", ".bin", "tsc");
const COMPILED = ["--module", "nodenext", "--strict", "--target", "esnext", "--lib", "esnext,dom"];

const PROGRAM = `import { createClient } from "@tradingbots/client";
const answer = async () => Response.json({ items: [{ id: "bot-1" }], next: null });
const call = createClient({ url: "https://bots.example.com", token: () => "tbt_x", fetch: answer });
const { items } = await call("GET /api/bots", {});
for (const bot of items) console.log(bot.id.toUpperCase());
`;

test("the client is installed into an empty folder, compiles there with its types, and runs", async () => {
  const folder = await mkdtemp(join(tmpdir(), "client-"));
  try {
    const [built, user] = [join(folder, "built"), join(folder, "user")];
    await run(TSC, ["-p", join(ROOT, "hack/client/tsconfig.json"), "--outDir", built]);
    await cp(join(ROOT, "hack/client/package.json"), join(built, "package.json"));
    await mkdir(user);
    await run("npm", ["pack", built, "--pack-destination", user, "--silent"], { cwd: folder });
    await writeFile(join(user, "package.json"), `{ "type": "module" }`);
    const tarball = "./tradingbots-client-0.1.0.tgz";
    await run("npm", ["install", "--offline", "--no-audit", "--no-fund", tarball], { cwd: user });
    await writeFile(join(user, "program.ts"), PROGRAM);
    await run(TSC, [...COMPILED, "program.ts"], { cwd: user });
    const { stdout } = await run(process.execPath, ["program.js"], { cwd: user });
    expect(stdout).toBe("BOT-1\n");
    await writeFile(join(user, "program.ts"), PROGRAM.replace("bot.id", "bot.ids"));
    const misspelt = await run(TSC, [...COMPILED, "program.ts"], { cwd: user }).catch(String);
    expect(misspelt).toContain("Command failed");
  } finally {
    await rm(folder, { recursive: true });
  }
});
