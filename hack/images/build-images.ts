import { Listr } from "listr2";
import { type ClusterRecord, loadImages } from "../cluster/cluster.ts";
import { findEngine } from "../cluster/engine.ts";
import { ensureBaseImage } from "./base-image.ts";
import { buildImage, recordImages } from "./build.ts";
import { imageNames, type ImageName } from "./images.ts";

export type ImageReferences = Readonly<Record<ImageName, string>>;

/**
 * Builds all images that the engine lacks, records their references in `.build/images.json` and, when asked, copies them
 * into a cluster. Shows its progress.
 */
export async function buildImages(loadInto?: ClusterRecord): Promise<ImageReferences> {
  const engine = await findEngine();
  if (engine === undefined) {
    throw new Error("No Docker engine runs: `node hack/cluster/main.ts up` brings one up.");
  }
  const { docker } = engine;
  const base = await ensureBaseImage(docker);
  const built = new Map<ImageName, string>();
  const builds = imageNames.map((name) => ({
    title: name,
    task: async (_context: unknown, task: { title: string }) => {
      const reference = await buildImage(docker, name, base);
      built.set(name, reference);
      task.title = reference;
    },
  }));
  await new Listr(builds, { concurrent: true }).run();
  const references = complete(built);
  await recordImages(references);
  if (loadInto !== undefined) {
    const title = "Load the images into the cluster";
    const task = async () => void (await loadImages(loadInto, Object.values(references)));
    await new Listr([{ title, task }]).run();
  }
  return references;
}

function complete(built: ReadonlyMap<ImageName, string>): ImageReferences {
  const reference = (name: ImageName): string => {
    const found = built.get(name);
    if (found === undefined) throw new Error(`the image ${name} was not built`);
    return found;
  };
  return {
    operator: reference("operator"),
    api: reference("api"),
    bot: reference("bot"),
    vault: reference("vault"),
    "exchange-simulator": reference("exchange-simulator"),
    postgres: reference("postgres"),
  };
}
