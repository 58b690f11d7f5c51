import { join } from "node:path";
import { Listr } from "listr2";
import { z } from "zod";
import { ClusterRecord } from "../cluster/cluster.ts";
import { bringUp } from "../cluster/lifecycle.ts";
import { installBackends, PostgresAccess } from "../demo/backends/backends.ts";
import { installRelease } from "../demo/backends/release.ts";
import { initialiseVault } from "../demo/backends/vault.ts";
import { buildImages } from "../images/build-images.ts";

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
  cluster: ClusterRecord,
  postgres: PostgresAccess,
});
export type Platform = z.infer<typeof Platform>;

interface Options {
  readonly name: string;
  readonly kubeconfig: string;
}

/**
 * Brings up a kind cluster with Postgres, Vault, the exchange simulator and the platform's chart, from whatever state an
 * earlier run left. Shows its progress.
 */
export async function bringUpPlatform(options: Options): Promise<Platform> {
  const cluster = await bringUp(options);
  const images = await buildImages(cluster);
  const { kubeconfig, ports } = cluster;
  const vaultAddr = `http://127.0.0.1:${ports.vault}`;
  const keyFile = join(BUILD_DIRECTORY, `${options.name}-vault-unseal-key`);
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

function complete(context: { postgres?: PostgresAccess; setupToken?: string }) {
  const { postgres, setupToken } = context;
  if (postgres === undefined) throw new Error("Postgres was not installed");
  return { postgres, setupToken: setupToken ?? "" };
}
