import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { nodeFlags } from "./bot-node-flags.ts";
import { COMPILED, compileAhead } from "./compile-cache.ts";

test("what was compiled ahead is used elsewhere, by the user that it is for", async () => {
  const work = await mkdtemp(join(tmpdir(), "compiled-"));
  try {
    const built = join(work, "built");
    const moved = join(work, "moved");
    await mkdir(built);
    await writeFile(join(built, "bot.mjs"), "process.exitCode = 1;");
    await writeFile(join(built, "exchange-bybit.mjs"), "export const name = 'bybit';");
    await compileAhead(built, 4_711);
    const [directory = ""] = await readdir(join(built, COMPILED));
    expect(directory).toMatch(/-4711$/);
    const files = await readdir(join(built, COMPILED, directory));
    const modes = files.map(
      async (file) => (await stat(join(built, COMPILED, directory, file))).mode & 0o777,
    );
    expect(await Promise.all(modes)).toEqual(files.map(() => 0o644));

    await rename(built, moved);
    const own = directory.replace("-4711", `-${process.getuid?.()}`);
    await rename(join(moved, COMPILED, directory), join(moved, COMPILED, own));
    const env = {
      NODE_COMPILE_CACHE: join(moved, COMPILED),
      NODE_COMPILE_CACHE_PORTABLE: "1",
      NODE_DEBUG_NATIVE: "COMPILE_CACHE",
    };
    const program = [...nodeFlags("bot"), join(moved, "bot.mjs")];
    const { stderr } = await execa(process.execPath, program, { env, reject: false });
    expect(stderr).toMatch(/V8 code cache for ESM \S+bot\.mjs was accepted/);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
});
