import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { execa } from "execa";

export interface ImageArchive {
  readonly reference: string;
  /** The directory that becomes the image's only layer. */
  readonly root: string;
  /** Where the tar is put, complete or not at all. */
  readonly target: string;
  /** As in the image specification: Entrypoint, Env, User… */
  readonly config: Readonly<Record<string, unknown>>;
  /** Whether files keep their owners (a system's root file system) or all belong to root. */
  readonly keepOwners?: boolean;
}

/**
 * Writes an image of one layer as `docker save` would, without an engine: `docker load` and `ctr images import` read it.
 * The same files give the same bytes.
 */
export async function writeImageArchive(image: ImageArchive): Promise<void> {
  const staging = await mkdtemp(`${image.target}.staging-`);
  try {
    const layer = join(staging, "layer.tar");
    const owners = image.keepOwners === true ? ["--numeric-owner"] : ["--owner=0", "--group=0"];
    await execa("tar", [
      "--sort=name",
      "--mtime=@0",
      ...owners,
      "-C",
      image.root,
      "-cf",
      layer,
      ".",
    ]);
    const config = JSON.stringify({
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      created: "1970-01-01T00:00:00Z",
      config: image.config,
      rootfs: { type: "layers", diff_ids: [`sha256:${await sha256OfFile(layer)}`] },
    });
    const configFile = `${createHash("sha256").update(config).digest("hex")}.json`;
    const manifest = [{ Config: configFile, RepoTags: [image.reference], Layers: ["layer.tar"] }];
    await writeFile(join(staging, configFile), config);
    await writeFile(join(staging, "manifest.json"), JSON.stringify(manifest));
    const archive = join(staging, "archive.tar");
    await execa("tar", ["-C", staging, "-cf", archive, "manifest.json", configFile, "layer.tar"]);
    await rename(archive, image.target);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
