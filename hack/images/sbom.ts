import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { checkout } from "./bundle.ts";

/** A package inside an image, as CycloneDX 1.6 describes it (https://cyclonedx.org/docs/1.6/json/). */
interface Component {
  readonly type: "library" | "platform";
  readonly name: string;
  readonly version: string;
  /** Package URL: what scanners look weaknesses up by. */
  readonly purl: string;
  readonly "bom-ref": string;
  readonly licenses: z.infer<typeof Licenses>;
  readonly hashes: readonly { readonly alg: "SHA-512"; readonly content: string }[];
}

/** An SPDX expression; old packages have a list with names of their own. */
const Licenses = z.union([
  z.string().transform((expression) => [{ expression }]),
  z
    .array(z.object({ type: z.string() }))
    .transform((list) => list.map(({ type }) => ({ license: { name: type } }))),
]);
const Package = z.object({ name: z.string(), version: z.string(), license: Licenses });
const Version = Package.pick({ version: true }).partial();
const Lock = z.object({
  packages: z.record(
    z.string(),
    z.object({ version: z.string().optional(), integrity: z.string().optional() }),
  ),
});

/** In all images; npm brings it to a checkout, so that its version is in the lock file. */
const NODE = "node_modules/node";

/**
 * What an image is made of: Node, and every package that one of these files comes from. `npm sbom` would name all that
 * is installed, of which some gets into each bundle. Without a time or a serial number: the same contents, the same image.
 * @throws Error when an installed package is another one than the lock file's
 */
export async function billOfMaterials(image: string, files: readonly string[]) {
  const lock = Lock.parse(JSON.parse(await readFile(join(checkout, "package-lock.json"), "utf8")));
  const folders = new Set([NODE, ...files.flatMap((file) => packageFolder(file) ?? [])]);
  const found = [...folders].toSorted().map(async (folder) => {
    const { version, integrity = "" } = lock.packages[folder] ?? {};
    const text = await readFile(join(checkout, folder, "package.json"), "utf8");
    const installed: unknown = JSON.parse(text);
    if (version === undefined || Version.parse(installed).version !== version)
      throw new Error(`${folder} is not what package-lock.json names: run npm ci`);
    return componentOf(Package.parse(installed), integrity);
  });
  const components = await Promise.all(found);
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: { type: "container", name: `tradingbots/${image}` } },
    // One package may lie in several folders.
    components: [...new Map(components.map((each) => [each.purl, each])).values()],
  };
}

/** `node_modules/a/node_modules/@b/c/d.js` → `node_modules/a/node_modules/@b/c`; undefined for our own files. */
export function packageFolder(file: string): string | undefined {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
}

function componentOf(
  { name, version, license }: z.infer<typeof Package>,
  integrity: string,
): Component {
  const isNode = name === "node";
  const purl = isNode
    ? `pkg:generic/node@${version}`
    : `pkg:npm/${name.replace("@", "%40")}@${version}`;
  const [algorithm, hash = ""] = integrity.split("-", 2);
  if (algorithm !== "sha512") throw new Error(`${name}: ${algorithm} instead of sha512`);
  const content = Buffer.from(hash, "base64").toString("hex");
  return {
    type: isNode ? "platform" : "library",
    name,
    version,
    purl,
    "bom-ref": purl,
    licenses: license,
    hashes: isNode ? [] : [{ alg: "SHA-512", content }], // the lock's is of npm's installer
  };
}
