import { dirname, join } from "node:path";
import { build, type Metafile, type Plugin } from "esbuild";

export const checkout = join(import.meta.dirname, "..", "..");

export interface Bundle {
  /** Output name without extension → entry point, relative to the checkout. */
  readonly entries: Readonly<Record<string, string>>;
  /** Packages with native parts; they are copied beside the bundle instead. */
  readonly external?: readonly string[];
}

/** CommonJS dependencies inside an ES module call `require`, which such a module does not have. */
const REQUIRE =
  'import { createRequire as createRequireForBundle } from "node:module"; const require = createRequireForBundle(import.meta.url);';

/**
 * Code that ccxt's base class carries for single exchanges that are not used here (mexc, zklink, dydx). It would cost
 * every bot 0.4 MB of program text and the memory to hold it.
 */
const FOREIGN_EXCHANGES =
  /^protobufjs(\/|$)|\/protobuf\/mexc\/|\/static_dependencies\/(zklink|dydx-v4-client)\//;
/** zod's namespace holds the error texts of fifty languages: 0.3 MB in every bundle, of which English is used. */
const ZOD_LOCALES = /\/zod\/v4\/locales\/index\.js$/;

const withoutDeadWeight: Plugin = {
  name: "without-dead-weight",
  setup: (hooks) => {
    hooks.onResolve({ filter: FOREIGN_EXCHANGES }, ({ path }) => ({ path, namespace: "unused" }));
    hooks.onLoad({ filter: /./, namespace: "unused" }, () => ({ contents: "module.exports = {}" }));
    hooks.onLoad({ filter: ZOD_LOCALES }, ({ path }) => ({
      contents: 'export { default as en } from "./en.js";',
      resolveDir: dirname(path),
    }));
  },
};

/**
 * Bundles entry points for Node, each into one `<name>.mjs` in `directory`, or nowhere when that is undefined. The metafile names
 * every source file that got in, and how many bytes of it.
 */
export async function bundle(
  { entries, external = [] }: Bundle,
  directory: string | undefined,
): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: checkout,
    entryPoints: { ...entries },
    outdir: directory ?? join(checkout, ".build", "nowhere"),
    write: directory !== undefined,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    outExtension: { ".js": ".mjs" },
    banner: { js: REQUIRE },
    define: { __dirname: "import.meta.dirname", __filename: "import.meta.filename" },
    external: [...external],
    minifySyntax: true,
    // Names and lines stay: a crash prints its line to the log, which minified would be 100 kB.
    legalComments: "none",
    metafile: true,
    logLevel: "silent", // failures are thrown with the same text
    plugins: [withoutDeadWeight],
  });
  return metafile;
}

/** The source files in each output of a metafile: `bot` → [`bot-runtime/src/bot/main.ts`, …]. */
export function inputsByOutput(metafile: Metafile): ReadonlyMap<string, readonly string[]> {
  const outputs = Object.entries(metafile.outputs).map(([path, output]) => {
    const name = path.slice(path.lastIndexOf("/") + 1).replace(/\.mjs$/, "");
    const inputs = Object.entries(output.inputs).filter(
      ([, { bytesInOutput }]) => bytesInOutput > 0,
    );
    return [name, inputs.map(([input]) => input).toSorted()] as const;
  });
  return new Map(outputs);
}
