import { mkdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { build, type Plugin } from "esbuild";

const here = import.meta.dirname;
const checkout = join(here, "..", "..", "..");
const target = join(checkout, ".build", "simulation");

/** A fault that is put into a module while it is bundled: the product itself knows nothing of it. */
export interface Patch {
  /** Path from the top of the checkout. */
  readonly module: string;
  /** Text that the module holds exactly once. */
  readonly text: string;
  readonly replacement: string;
}

/**
 * Bundles the simulation with the product's own modules and gives back the bundle's path. Two libraries are replaced: ccxt's
 * Bybit and `ws`, which would need a network. Throws when a patch does not find its text exactly once.
 */
export async function bundleSimulation(name: string, patches: readonly Patch[]): Promise<string> {
  await mkdir(target, { recursive: true });
  const outfile = join(target, `${name}.mjs`);
  const applied = new Set<Patch>();
  await build({
    entryPoints: [join(here, "worker.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    sourcemap: "inline",
    logLevel: "error",
    banner: {
      js: `import { createRequire } from "node:module"; const require = createRequire(import.meta.url);`,
    },
    plugins: [replacedLibraries, patching(patches, applied)],
  });
  for (const patch of patches)
    if (!applied.has(patch)) throw new Error(`${name}: ${patch.module} is not part of the bundle`);
  return outfile;
}

const replacedLibraries: Plugin = {
  name: "replaced-libraries",
  setup: (bundler) => {
    bundler.onResolve({ filter: /ccxt\/js\/src\/bybit\.js$/ }, () => ({
      path: "ccxt",
      namespace: "thin",
    }));
    bundler.onResolve({ filter: /^ws$/ }, () => ({ path: join(here, "thin-socket.ts") }));
    bundler.onLoad({ filter: /^ccxt$/, namespace: "thin" }, () => ({
      contents: `export { ThinBybit as default } from "./thin-bybit.ts";`,
      resolveDir: here,
      loader: "ts",
    }));
  },
};

function patching(patches: readonly Patch[], applied: Set<Patch>): Plugin {
  return {
    name: "patches",
    setup: (bundler) => {
      if (patches.length === 0) return;
      bundler.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const mine = patches.filter(({ module }) => module === relative(checkout, path));
        if (mine.length === 0) return undefined;
        let contents = await readFile(path, "utf8");
        for (const patch of mine) {
          const found = contents.split(patch.text).length - 1;
          if (found !== 1)
            throw new Error(`${patch.module} holds ${found} times, not once: ${patch.text}`);
          contents = contents.replace(patch.text, () => patch.replacement);
          applied.add(patch);
        }
        return { contents, loader: "ts" };
      });
    },
  };
}
