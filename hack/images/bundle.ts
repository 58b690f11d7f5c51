import { readFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { dirname, join } from "node:path";
import { build, type Metafile, type Plugin } from "esbuild";

export const checkout = join(import.meta.dirname, "..", "..");

export interface Bundle {
  /** Output name without extension → entry point, relative to the checkout. */
  readonly entries: Readonly<Record<string, string>>;
  /** Packages with native parts; they are copied beside the bundle instead. */
  readonly external?: readonly string[];
  /** For programs whose memory counts: the entries share their modules, and Node's own are loaded when first used. */
  readonly small?: boolean;
}

/** CommonJS dependencies inside an ES module call `require`, which such a module does not have. */
const REQUIRE =
  'import { createRequire as createRequireForBundle } from "node:module"; const require = createRequireForBundle(import.meta.url);';

/**
 * What ccxt's base class carries and its exchanges here never use: code for single other exchanges (mexc, zklink, dydx,
 * starknet), and an HTTP client that is replaced by ours. It would cost every bot 1 MB of program text and the memory to hold it.
 */
const FOREIGN_TO_CCXT =
  /^(protobufjs|undici|@scure\/starknet)(\/|$)|\/protobuf\/mexc\/|\/static_dependencies\/(zklink|dydx-v4-client)\//;
/** zod's namespace holds the error texts of fifty languages: 0.3 MB in every bundle, of which English is used. */
const ZOD_LOCALES = /\/zod\/v4\/locales\/index\.js$/;

/** How node-vault speaks HTTP. Its look for the browser's ways (`FormData`, `fetch`) loads Node's, 5 MB that nobody uses. */
const AXIOS = /\/axios\/dist\/node\/axios\.cjs$/;
const WITHOUT_FETCH = "const globalThis = {}, fetch = undefined;\n";

const withoutDeadWeight: Plugin = {
  name: "without-dead-weight",
  setup: (hooks) => {
    // The operator's undici is another matter.
    hooks.onResolve({ filter: FOREIGN_TO_CCXT }, ({ path, importer }) =>
      importer.includes("/node_modules/ccxt/") ? { path, namespace: "unused" } : undefined,
    );
    hooks.onLoad({ filter: /./, namespace: "unused" }, () => ({ contents: "module.exports = {}" }));
    hooks.onLoad({ filter: AXIOS }, async ({ path }) => ({
      contents: WITHOUT_FETCH + (await readFile(path, "utf8")),
    }));
    hooks.onLoad({ filter: ZOD_LOCALES }, ({ path }) => ({
      contents: 'export { default as en } from "./en.js";',
      resolveDir: dirname(path),
    }));
  },
};

/**
 * Node's own modules, each loaded when something of it is first used. An `import` of one reads all that it exports, and
 * `node:http` then loads Node's fetch and WebSocket (9 MB resident); and what an address without TLS never needs is not loaded (5 MB).
 */
const lazyBuiltins: Plugin = {
  name: "lazy-builtins",
  setup: (hooks) => {
    hooks.onResolve({ filter: /./ }, ({ path, kind }) =>
      isBuiltin(path) && kind !== "dynamic-import" ? { path, namespace: "builtin" } : undefined,
    );
    hooks.onLoad({ filter: /./, namespace: "builtin" }, ({ path }) => {
      const load = `process.getBuiltinModule(${JSON.stringify(path)})`;
      const module: unknown = process.getBuiltinModule(path);
      // Some are classes (events, stream): whoever imports one extends it at once.
      if (typeof module !== "object" || module === null)
        return { contents: `module.exports = ${load};` };
      const names = JSON.stringify(Object.getOwnPropertyNames(module));
      return {
        contents: `for (const name of ${names}) Object.defineProperty(exports, name, { enumerable: true, get: () => ${load}[name] });`,
      };
    });
  },
};

/**
 * Bundles entry points for Node, each into one `<name>.mjs` in `directory`, or nowhere when that is undefined; small ones share
 * `chunk-*.mjs` beside them. The metafile names every source file that got in, and how many bytes of it.
 */
export async function bundle(
  { entries, external = [], small = false }: Bundle,
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
    // Comments go (text is resident, and one dash in it doubles its size); names stay, and so do lines that a log can print.
    minifyWhitespace: true,
    lineLimit: 200,
    splitting: small,
    legalComments: "none",
    metafile: true,
    logLevel: "silent", // failures are thrown with the same text
    plugins: small ? [withoutDeadWeight, lazyBuiltins] : [withoutDeadWeight],
  });
  return metafile;
}

/** The source files in each program of a metafile, shared chunks included: `bot` → [`bot-runtime/src/bot/main.ts`, …]. */
export function inputsByOutput({ outputs }: Metafile): ReadonlyMap<string, readonly string[]> {
  const programs = Object.entries(outputs).filter(([, { entryPoint }]) => entryPoint !== undefined);
  return new Map(
    programs.map(([path]) => {
      const files = [...reachable(outputs, path)].flatMap((file) => outputs[file] ?? []);
      const inputs = files.flatMap((output) => Object.entries(output.inputs));
      const present = inputs.filter(([, { bytesInOutput }]) => bytesInOutput > 0);
      const name = path.slice(path.lastIndexOf("/") + 1).replace(/\.mjs$/, "");
      return [name, present.map(([input]) => input).toSorted()] as const;
    }),
  );
}

/** An output and the chunks that it imports, and theirs. */
function reachable(outputs: Metafile["outputs"], start: string): ReadonlySet<string> {
  const found = new Set([start]);
  // A set's iteration goes on over what is added to it meanwhile.
  for (const path of found) {
    for (const imported of outputs[path]?.imports ?? []) {
      if (imported.external !== true) found.add(imported.path);
    }
  }
  return found;
}
