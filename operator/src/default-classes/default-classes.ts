import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { API_VERSION, BotClass, DnsLabel } from "@tradingbots/crds";
import { type KubeClient, customResource } from "@tradingbots/kube";

const FIELD_MANAGER = "tradingbots-chart";

/** The specs of a directory by class name: `free.json`, `pro.json`… @throws Error naming the file that is none. */
export async function readClasses(directory: string): Promise<ReadonlyMap<string, unknown>> {
  const classes = new Map<string, unknown>();
  // A mounted ConfigMap also shows the links through which the kubelet swaps its content.
  const files = (await readdir(directory)).filter((name) => name.endsWith(".json")).toSorted();
  for (const file of files) {
    const name = DnsLabel.parse(file.slice(0, -".json".length));
    const spec: unknown = JSON.parse(await readFile(join(directory, file), "utf8"));
    const parsed = BotClass.spec.safeParse(spec);
    if (!parsed.success) throw new Error(`BotClass ${name}: ${parsed.error.message}`);
    classes.set(name, spec); // as it was given: what is left out is the API server's to fill in
  }
  return classes;
}

/**
 * Applies the classes. Fields that somebody else has changed are taken back: the chart's values are the truth for the
 * classes they name; a class they do not name is left alone, for its bots would stand without one.
 */
export async function applyClasses(
  cluster: Pick<KubeClient, "patch">,
  classes: ReadonlyMap<string, unknown>,
): Promise<void> {
  const resource = customResource(BotClass);
  for (const [name, spec] of classes) {
    const body = { apiVersion: API_VERSION, kind: BotClass.kind, metadata: { name }, spec };
    const change = { type: "apply", body, fieldManager: FIELD_MANAGER, force: true } as const;
    await cluster.patch(resource, { name }, change);
  }
}
