import { readFile } from "node:fs/promises";
import { execa } from "execa";
import { z } from "zod";
import { type Kubectl, kubectlFor } from "../platform/kubectl.ts";
import { installPlatform, type Platform } from "../platform/platform.ts";
import { steadyForward } from "../platform/port-forward.ts";
import { toolPath } from "../tools/tools.ts";

const Images = z.object({
  operator: z.string(),
  api: z.string(),
  bot: z.string(),
  vault: z.string(),
  "exchange-simulator": z.string(),
  postgres: z.string(),
});

interface ForeignCluster {
  readonly kubeconfig: string;
  /** A file like `.build/images.json` whose references the cluster's nodes have or can pull. */
  readonly imagesFile: string;
  readonly keyFile: string;
}

/**
 * Installs the platform in a cluster that somebody gave for tests, reached through port-forwards. It must not hold an
 * installation already; `remove` takes away what was installed.
 */
export async function useForeignCluster({ kubeconfig, imagesFile, keyFile }: ForeignCluster) {
  const kubectl = await kubectlFor(kubeconfig);
  await refuseInstallation(kubectl);
  const images = Images.parse(JSON.parse(await readFile(imagesFile, "utf8")));
  const [api, vault, simulator] = await Promise.all([
    steadyForward(kubectl, {
      namespace: "tradingbots",
      resource: "svc/tradingbots-api",
      port: 8080,
    }),
    steadyForward(kubectl, { namespace: "demo", resource: "svc/vault", port: 8200 }),
    steadyForward(kubectl, { namespace: "demo", resource: "svc/exchange-simulator", port: 8090 }),
  ]);

  async function remove(): Promise<void> {
    await Promise.all([api.stop(), vault.stop(), simulator.stop()]);
    await removePlatform(kubectl);
  }
  const ports = { api: api.port, vault: vault.port, simulator: simulator.port };
  try {
    const platform: Platform = await installPlatform({
      kubeconfig,
      ports,
      images,
      keyFile,
      cluster: null,
    });
    return { platform, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function refuseInstallation(kubectl: Kubectl): Promise<void> {
  const found = await kubectl.run([
    "get",
    "namespace",
    "tradingbots",
    "demo",
    "--ignore-not-found",
    "-o",
    "name",
  ]);
  if (found === "") return;
  throw new Error(
    `the cluster already has ${found.split("\n").join(" and ")}: end-to-end tests want a cluster without an installation`,
  );
}

async function removePlatform(kubectl: Kubectl): Promise<void> {
  const release = ["tradingbots", "--namespace", "tradingbots", "--ignore-not-found"];
  await execa(await toolPath("helm"), [
    "--kubeconfig",
    kubectl.kubeconfig,
    "uninstall",
    ...release,
  ]);
  // Nobody is left who would let go of them: the exchange was a simulator.
  for (const kind of ["tradingbots", "exchangeaccounts"]) {
    const list = [
      "get",
      kind,
      "-A",
      "-o",
      'jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{"\\n"}{end}',
    ];
    for (const line of (await kubectl.run(list)).split("\n").filter(Boolean)) {
      const [namespace = "", name = ""] = line.split(" ");
      const none = ["--type=merge", "-p", '{"metadata":{"finalizers":null}}'];
      await kubectl.run(["patch", kind, name, "-n", namespace, ...none]);
    }
  }
  const buckets = ["00", "01", "02", "03"].map((bucket) => `tradingbots-${bucket}`);
  await kubectl.run([
    "delete",
    "namespace",
    "tradingbots",
    "demo",
    ...buckets,
    "--ignore-not-found",
  ]);
  const kinds = ["tradingbots", "exchangeaccounts", "botclasses", "tradinghalts"];
  const definitions = kinds.map((kind) => `${kind}.tradingbots.dev`);
  await kubectl.run(["delete", "customresourcedefinition", ...definitions, "--ignore-not-found"]);
}
