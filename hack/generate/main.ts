import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { BREACHED_PASSWORDS_FILE, breachedPasswords } from "./breached-passwords.ts";
import { CRD_FOLDERS, crdManifests } from "./crd-manifests.ts";
import { POLICIES_FOLDER, policyManifests } from "./policies.ts";

/** They hold generated files and nothing else: what is in them and not generated is stale. */
const GENERATED_FOLDERS = [...CRD_FOLDERS, POLICIES_FOLDER];
const folders = [...GENERATED_FOLDERS, dirname(BREACHED_PASSWORDS_FILE)];
const usage = `usage: node hack/generate/main.ts [--check]
Writes what follows from crds/src, and the list of breached passwords, to ${folders.join(", ")}.
--check writes nothing and fails when a file is missing, stale or edited by hand.`;

const repository = resolve(import.meta.dirname, "../..");
const options = process.argv.slice(2);
if (options.some((option) => option !== "--check")) {
  console.error(usage);
  process.exit(2);
}

const wanted = new Map<string, Buffer>([
  ...[...crdManifests(), ...policyManifests()].map(
    ({ path, content }) => [path, Buffer.from(content)] as const,
  ),
  [BREACHED_PASSWORDS_FILE, await breachedPasswords()],
]);
const present = await generatedFilesOnDisk();
const changed = [...wanted].filter(([path, content]) => !present.get(path)?.equals(content));
const stale = [...present.keys()].filter((path) => !wanted.has(path));
const differing = [...changed.map(([path]) => path), ...stale];

if (options.includes("--check")) {
  if (differing.length > 0) {
    console.error(`not as their sources say, run \`make generate\`:\n  ${differing.join("\n  ")}`);
    process.exit(1);
  }
} else {
  for (const [path, content] of changed) await write(path, content);
  for (const path of stale) await rm(join(repository, path));
  for (const path of differing) console.log(path);
}

async function generatedFilesOnDisk(): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const folder of folders) {
    for (const name of await readdir(join(repository, folder)).catch(() => [])) {
      files.set(`${folder}/${name}`, await readFile(join(repository, folder, name)));
    }
  }
  return files;
}

async function write(path: string, content: Buffer): Promise<void> {
  await mkdir(dirname(join(repository, path)), { recursive: true });
  await writeFile(join(repository, path), content);
}
