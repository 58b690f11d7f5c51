import { join } from "node:path";
import { Listr } from "listr2";
import { z } from "zod";
import { ClusterRecord } from "../cluster/cluster.ts";
import { bringUp } from "../cluster/lifecycle.ts";
import { installBackends, PostgresAccess } from "../demo/backends/backends.ts";
import { installRelease } from "../demo/backends/release.ts";
import { initialiseVault } from "../demo/backends/vault.ts";
import { buildImages, type ImageReferences } from "../images/build-images.ts";
import { eventually } from "./eventually.ts";

const BUILD_DIRECTORY = join(import.meta.dirname, "..", "..", ".build");

/** Where everything of a running platform is, as demo and end-to-end tests use it. */
export const Platform = z.object({
  apiUrl: z.string(),
  simulatorUrl: z.string(),
  /** Vault as this machine reaches it. */
  vaultAddr: z.string(),
  /** Vault as pods reach it. */
  vaultInCluster: z.string(),
  kubeconfig: z.string(),
  /** Null when it is not one of ours. */
  cluster: ClusterRecord.nullable(),
  postgres: PostgresAccess,
});
export type Platform = z.infer<typeof Platform>;

/**
 * Brings up a kind cluster with Postgres, Vault, the exchange simulator and the platform's chart, from whatever state an
 * earlier run left. Shows its progress.
 */
export async function bringUpPlatform(options: {
  readonly name: string;
  readonly kubeconfig: string;
}): Promise<Platform> {
  const cluster = await bringUp(options);
  const images = await buildImages(cluster);
  const keyFile = join(BUILD_DIRECTORY, `${options.name}-vault-unseal-key`);
  return installPlatform({
    kubeconfig: cluster.kubeconfig,
    ports: cluster.ports,
    images,
    keyFile,
    cluster,
  });
}

interface Installation {
  readonly kubeconfig: string;
  /** Ports on loopback that lead to the services, now or once they exist. */
  readonly ports: { readonly api: number; readonly vault: number; readonly simulator: number };
  readonly images: ImageReferences;
  /** Where the unseal key of the demo's Vault is kept. */
  readonly keyFile: string;
  /** Null when the cluster is not one of ours. */
  readonly cluster: ClusterRecord | null;
}

/** Installs the backends and the chart in a cluster that has, or can pull, the images. */
export async function installPlatform(installation: Installation): Promise<Platform> {
  const { kubeconfig, ports, images, keyFile, cluster } = installation;
  const vaultAddr = `http://127.0.0.1:${ports.vault}`;
  const context: { postgres?: PostgresAccess; setupToken?: string } = {};
  await new Listr<typeof context>(
    [
      {
        title: "Postgres, Vault and the exchange simulator",
        task: async (found) => {
          found.postgres = await installBackends({ kubeconfig, images });
        },
      },
      {
        title: "Initialise and unseal Vault",
        task: async (found) => {
          await answering(vaultAddr);
          found.setupToken = await initialiseVault({ address: vaultAddr, keyFile });
        },
      },
      {
        title: "Install the chart: operator, API and journal",
        task: async (found) => {
          const { postgres, setupToken } = complete(found);
          await installRelease({ kubeconfig, images, postgres, setupToken });
        },
      },
    ],
    { ctx: context },
  ).run();
  return {
    apiUrl: `http://127.0.0.1:${ports.api}`,
    simulatorUrl: `http://127.0.0.1:${ports.simulator}`,
    vaultAddr,
    vaultInCluster: "http://vault.demo.svc:8200",
    kubeconfig,
    cluster,
    postgres: complete(context).postgres,
  };
}

async function answering(url: string): Promise<void> {
  await eventually({
    what: `${url} answers`,
    withinMs: 30_000,
    probe: async () => (await fetch(url)).status > 0 || undefined,
  });
}

function complete(context: { postgres?: PostgresAccess; setupToken?: string }) {
  const { postgres, setupToken } = context;
  if (postgres === undefined) throw new Error("Postgres was not installed");
  return { postgres, setupToken: setupToken ?? "" };
}
