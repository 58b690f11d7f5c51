import { parseArgs } from "node:util";
import { Listr } from "listr2";
import { loadImages, readClusterRecord } from "../cluster/cluster.ts";
import { findEngine } from "../cluster/engine.ts";
import { describeError } from "../tools/describe-error.ts";
import { ensureBaseImage } from "./base-image.ts";
import { buildImage, recordImages } from "./build.ts";
import { imageNames, isImageName, type ImageName } from "./images.ts";

const usage = `usage: node hack/images/main.ts [--load] [name...]
Builds images (all by default) and writes their references to .build/images.json.
--load  copies them into the cluster that hack/cluster brought up
names: ${imageNames.join(" ")}`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { load: { type: "boolean", default: false }, help: { type: "boolean", default: false } },
});

async function buildAll(names: readonly ImageName[]): Promise<void> {
  const engine = await findEngine();
  if (engine === undefined)
    throw new Error("No Docker engine runs: `node hack/cluster/main.ts up`.");
  const { docker } = engine;
  const references = new Map<ImageName, string>();
  const base = await ensureBaseImage(docker);
  const builds = names.map((name) => ({
    title: name,
    task: async (_context: unknown, task: { title: string }) => {
      const reference = await buildImage(docker, name, base);
      references.set(name, reference);
      task.title = reference;
    },
  }));
  await new Listr(builds, { concurrent: true }).run();
  await recordImages(references);
  if (!values.load) return;
  const cluster = await readClusterRecord();
  if (cluster === undefined) throw new Error("No cluster runs: `node hack/cluster/main.ts up`.");
  const loaded = await loadImages(cluster, [...references.values()]);
  console.log(loaded.length === 0 ? "the cluster has them all" : `loaded ${loaded.length} images`);
}

try {
  const unknown = positionals.filter((name) => !isImageName(name));
  if (values.help || unknown.length > 0) {
    console.error(usage);
    process.exitCode = 2;
  } else {
    await buildAll(positionals.length > 0 ? positionals.filter(isImageName) : imageNames);
  }
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
