import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { rootCertificates } from "node:tls";
import { execa } from "execa";
import type { Docker } from "../cluster/docker.ts";
import { contentHash } from "../tools/cache.ts";
import { checkout } from "./bundle.ts";
import { writeImageArchive } from "./image-archive.ts";
import { embeddedPostgres } from "./postgres-files.ts";

/** Debian with Node and its libraries; pinned to the release that package.json brings. */
const PUBLISHED = "node:24.21.0-bookworm-slim";
const REGISTRY_LIMIT_MS = 15_000;
const PULL_LIMIT_MS = 10 * 60_000;

/** The only user that images run as; the number is what pod security sees. */
export const passwd =
  "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:10001:10001:nonroot:/tmp:/sbin/nologin\n";

/** Public certificate authorities as Node ships them: the machine's own list may hold private ones. */
export const certificateAuthorities = `${rootCertificates.join("\n")}\n`;

/** The image that others are built on: the published one where it can be pulled, else one made of this machine's Node. */
export async function ensureBaseImage(docker: Docker): Promise<string> {
  if (await docker.hasImage(PUBLISHED)) return PUBLISHED;
  if (await docker.succeeds(["manifest", "inspect", PUBLISHED], REGISTRY_LIMIT_MS)) {
    if (await docker.succeeds(["pull", "--quiet", PUBLISHED], PULL_LIMIT_MS)) return PUBLISHED;
  }
  return localBaseImage(docker);
}

/** Node, the libraries that it and Postgres name, and nothing else: no shell, no package manager. */
async function localBaseImage(docker: Docker): Promise<string> {
  if (process.platform !== "linux") {
    throw new Error(`${PUBLISHED} cannot be pulled, and only Linux can make a base image itself`);
  }
  const node = join(checkout, "node_modules", "node", "bin", "node");
  const libraries = new Set([
    ...(await sharedLibraries(node)),
    ...(await sharedLibraries(join(embeddedPostgres, "bin", "postgres"))),
  ]);
  const contents = await Promise.all([...libraries].toSorted().map((path) => readFile(path)));
  const { stdout: version } = await execa(node, ["--version"]);
  const reference = `tradingbots/base:${contentHash(version, passwd, ...contents)}`;
  if (await docker.hasImage(reference)) return reference;
  const work = await mkdtemp(join(tmpdir(), "base-image-"));
  try {
    const root = join(work, "root");
    await mkdir(join(root, "tmp"), { recursive: true });
    await put(root, "/etc/passwd", passwd);
    await put(root, "/etc/ssl/certs/ca-certificates.crt", certificateAuthorities);
    for (const path of libraries) await copyFollowing(path, join(root, path));
    await copyFollowing(node, join(root, "usr/local/bin/node"));
    const config = { Env: ["PATH=/usr/local/bin:/usr/bin:/bin"], User: "10001:10001" };
    const target = join(work, "base.tar");
    await writeImageArchive({ reference, root, target, config });
    await docker.run(["load", "--quiet", "--input", target]);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return reference;
}

async function sharedLibraries(binary: string): Promise<readonly string[]> {
  const { stdout } = await execa("ldd", [binary]);
  return systemLibraries(stdout);
}

/** The libraries of the system in what ldd prints; a program's own ones lie elsewhere and travel with it. */
export function systemLibraries(lddOutput: string): readonly string[] {
  const paths = lddOutput.matchAll(/(?:^|=> )\s*(\/(?:usr\/)?lib\S*\/\S+)/gm);
  return [...paths].map(([, path = ""]) => path);
}

async function copyFollowing(source: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await cp(source, target, { dereference: true });
}

async function put(root: string, path: string, content: string): Promise<void> {
  const target = join(root, path);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, content);
}
