import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { Docker } from "../cluster/docker.ts";
import { contentHash } from "../tools/cache.ts";
import { checkout } from "./bundle.ts";
import { hashDirectory, prepareContext, type ImageName } from "./images.ts";

const RECORD = join(checkout, ".build", "images.json");
const ImagesRecord = z.record(z.string(), z.string());

/** Builds one image, unless the engine has it: the tag is a hash of everything that goes in. */
export async function buildImage(docker: Docker, name: ImageName, base: string): Promise<string> {
  const context = join(checkout, ".build", "images", name);
  await prepareContext(name, context);
  const reference = `tradingbots/${name}:${contentHash(base, await hashDirectory(context))}`;
  if (!(await docker.hasImage(reference))) {
    await docker.build(context, reference, { BASE_IMAGE: base });
  }
  return reference;
}

/** The references of all images built so far: name → `tradingbots/<name>:<hash>`. */
async function readImages(): Promise<Readonly<Record<string, string>>> {
  const text = await readFile(RECORD, "utf8").catch(() => "{}");
  return ImagesRecord.parse(JSON.parse(text));
}

export async function recordImages(references: Readonly<Record<ImageName, string>>): Promise<void> {
  const record = { ...(await readImages()), ...references };
  await mkdir(dirname(RECORD), { recursive: true });
  await writeFile(RECORD, `${JSON.stringify(record, null, 2)}\n`);
}
