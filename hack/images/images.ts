import { cp, mkdir, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { contentHash } from "../tools/cache.ts";
import { toolPath } from "../tools/tools.ts";
import { certificateAuthorities, passwd } from "./base-image.ts";
import { bundle, checkout, inputsByOutput, type Bundle } from "./bundle.ts";
import { COMPILED, compileAhead } from "./compile-cache.ts";
import { embeddedPostgres } from "./postgres-files.ts";
import { billOfMaterials } from "./sbom.ts";

interface Image {
  /** Programs, bundled into `/app`. */
  readonly bundle?: Bundle;
  /** Folders of packages that travel as files. */
  readonly packages?: readonly string[];
  /** Adds what is no program to the build context. */
  readonly addFiles?: (context: string) => Promise<void>;
}

/** In `/app` of an image, and in `.build/images/<name>/app` where it was built: its packages, for a scanner. */
const BILL = "sbom.cdx.json";

/** That images run as. */
const USER_ID = 10_001;

const BCRYPT = ["node_modules/bcrypt", "node_modules/node-gyp-build"] as const;
const NOT_OF_BCRYPT = new RegExp(
  `/bcrypt/(src|test|examples)$|/prebuilds/(?!linux-${process.arch})[^/]+$|\\.musl\\.node$`,
);
/** What is for compiling against Postgres. */
const NOT_OF_POSTGRES = /\.a$|\/pkgconfig$|pg-symlinks\.json$/;

/** The programs of the bot's image. A file that several share is whole in each: what others than these use stays out of it. */
export const botBundle: Bundle = {
  entries: {
    bot: "bot-runtime/src/bot/main.ts",
    verify: "bot-runtime/src/verify/main.ts",
    // One exchange per file; the program imports the one that its bot trades on.
    "exchange-bybit": "bot-runtime/src/exchange/bybit-ccxt.ts",
  },
  small: true,
};

/** One image per family of processes; `hack/images/<name>/Dockerfile` copies what is prepared here. */
const images = {
  operator: {
    bundle: {
      entries: {
        operator: "operator/src/main.ts",
        "vault-setup": "operator/src/vault-setup/main.ts",
        "default-classes": "operator/src/default-classes/main.ts",
      },
      small: true,
    },
  },
  api: {
    bundle: {
      entries: {
        api: "api/src/main.ts",
        journal: "api/src/journal/main.ts",
        migrate: "api/src/migrate/main.ts",
        audit: "api/src/audit/main.ts",
        admin: "api/src/admin/main.ts",
        "migrate-old-robots": "api/src/old-robot/main.ts",
        "bcrypt-worker": "api/src/auth/bcrypt-worker.ts",
      },
      external: ["bcrypt"],
    },
    // bcrypt finds its native part beside itself, so it travels as a package: this platform's part only.
    packages: BCRYPT,
    addFiles: async (context) => {
      await copy("api/migrations", join(context, "app/migrations"));
      await copy("api/data", join(context, "app/data"));
      for (const path of BCRYPT) await copy(path, join(context, "app", path), NOT_OF_BCRYPT);
    },
  },
  bot: {
    bundle: botBundle,
    addFiles: (context) => compileAhead(join(context, "app"), USER_ID),
  },
  "exchange-simulator": {
    bundle: { entries: { "exchange-simulator": "hack/exchange-simulator/main.ts" } },
    addFiles: (context) => copy("hack/exchange-simulator/candles", join(context, "app/candles")),
  },
  postgres: {
    bundle: { entries: { entrypoint: "hack/images/postgres/entrypoint.ts" } },
    packages: [relative(checkout, embeddedPostgres)],
    addFiles: async (context) => {
      await copy(relative(checkout, embeddedPostgres), join(context, "postgres"), NOT_OF_POSTGRES);
      await cp("/bin/sh", join(context, "sh"), { dereference: true });
      await writeFile(join(context, "passwd"), passwd);
    },
  },
  vault: {
    addFiles: async (context) => {
      const certificates = join(context, "rootfs/etc/ssl/certs");
      await mkdir(join(context, "rootfs/bin"), { recursive: true });
      await mkdir(certificates, { recursive: true });
      await cp(await toolPath("vault", undefined, "linux"), join(context, "rootfs/bin/vault"));
      await writeFile(join(context, "rootfs/etc/passwd"), passwd);
      await writeFile(join(certificates, "ca-certificates.crt"), certificateAuthorities);
    },
  },
} as const satisfies Record<string, Image>;

export type ImageName = keyof typeof images;
export const imageNames = Object.keys(images).filter(isImageName);

function isImageName(name: string): name is ImageName {
  return Object.hasOwn(images, name);
}

/** Fills a fresh directory with all that the image's Dockerfile copies. */
export async function prepareContext(name: ImageName, context: string): Promise<void> {
  const image: Image = images[name];
  await rm(context, { recursive: true, force: true });
  await mkdir(context, { recursive: true });
  await cp(join(import.meta.dirname, name, "Dockerfile"), join(context, "Dockerfile"));
  if (image.bundle !== undefined) {
    const app = join(context, "app");
    const programs = inputsByOutput(await bundle(image.bundle, app));
    const files = [...programs.values(), ...(image.packages ?? [])].flat();
    const bill = await billOfMaterials(name, files);
    await writeFile(join(app, BILL), `${JSON.stringify(bill, undefined, 2)}\n`);
  }
  await image.addFiles?.(context);
}

/** Every source file inside each program of an image: `bot` → [`bot-runtime/src/bot/main.ts`, `node_modules/zod/…`, …]. */
export async function bundledSources(
  name: ImageName,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const image: Image = images[name];
  return image.bundle === undefined
    ? new Map()
    : inputsByOutput(await bundle(image.bundle, undefined));
}

/**
 * A hash over the paths, kinds, modes and contents of all files of a directory, but for what Node compiled of them: it follows
 * from them, and is never the same twice.
 */
export async function hashDirectory(directory: string): Promise<string> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries.filter(
    (entry) =>
      !entry.isDirectory() && !relative(directory, entry.parentPath).split(sep).includes(COMPILED),
  );
  const parts = paths.map(async (entry) => {
    const path = join(entry.parentPath, entry.name);
    const content = entry.isSymbolicLink() ? await readlink(path) : await readFile(path);
    return [relative(directory, path), entry.isSymbolicLink() ? "link" : "file", content] as const;
  });
  const sorted = (await Promise.all(parts)).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return contentHash(...sorted.flat());
}

async function copy(source: string, target: string, leaveOut = /^$/): Promise<void> {
  const filter = (path: string) => !leaveOut.test(path);
  await cp(join(checkout, source), target, { recursive: true, verbatimSymlinks: true, filter });
}
