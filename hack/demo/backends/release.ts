import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { execa } from "execa";
import { stringify } from "yaml";
import { nodePorts } from "../../cluster/kind-config.ts";
import { type Kubectl, kubectlFor } from "../../platform/kubectl.ts";
import { toolPath } from "../../tools/tools.ts";
import { type PostgresAccess, readSecret } from "./backends.ts";
import { BACKENDS_NAMESPACE, restrictedNamespace, secret } from "./manifests.ts";

const CHART = resolve(import.meta.dirname, "../../../charts/tradingbots");
const NAMESPACE = "tradingbots";
const DATABASE_SECRET = { namespace: NAMESPACE, name: "tradingbots-database" };
const SETUP_TOKEN_SECRET = { namespace: NAMESPACE, name: "vault-setup-token" };
const INSTALL_LIMIT = "5m";

interface PlatformImages {
  readonly operator: string;
  readonly api: string;
  readonly bot: string;
  readonly vault: string;
}

interface Release {
  readonly kubeconfig: string;
  readonly images: PlatformImages;
  readonly postgres: PostgresAccess;
  /** From `initialiseVault`. */
  readonly setupToken: string;
  /** Merged over the demo's values. */
  readonly values?: Readonly<Record<string, unknown>>;
}

/** Installs or upgrades the chart against the demo's backends, and waits until all of it is ready. */
export async function installRelease(release: Release): Promise<void> {
  const kubectl = await kubectlFor(release.kubeconfig);
  await kubectl.apply(restrictedNamespace(NAMESPACE));
  await ensureDatabasePasswords(kubectl, release.postgres.password);
  await kubectl.apply(secret(SETUP_TOKEN_SECRET, { token: release.setupToken }));
  const where = ["--kubeconfig", release.kubeconfig, "--namespace", NAMESPACE];
  const how = ["--wait", "--timeout", INSTALL_LIMIT, "--values", "-"];
  const values = { ...demoValues(release.images), ...release.values };
  try {
    await execa(
      await toolPath("helm"),
      ["upgrade", "--install", "tradingbots", CHART, ...where, ...how],
      { input: stringify(values) },
    );
  } catch (error) {
    throw new Error(`the chart cannot be installed\n${await whatHappened(kubectl)}`, {
      cause: error,
    });
  }
}

/** A login role keeps its password over upgrades: running pods know it. */
async function ensureDatabasePasswords(kubectl: Kubectl, ownerPassword: string): Promise<void> {
  const present = await readSecret(kubectl, DATABASE_SECRET);
  const password = (role: string) =>
    present?.[`${role}-password`] ?? randomBytes(18).toString("base64url");
  await kubectl.apply(
    secret(DATABASE_SECRET, {
      "owner-password": ownerPassword,
      "api-password": password("api"),
      "auth-password": password("auth"),
      "journal-password": password("journal"),
      "admin-password": password("admin"),
      "worker-password": password("worker"),
    }),
  );
}

/** What an installation on a laptop says: one of each, everything inside the cluster, bybit at the simulator. */
function demoValues(images: PlatformImages) {
  const peers = [
    { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": BACKENDS_NAMESPACE } } },
  ];
  const simulator = `exchange-simulator.${BACKENDS_NAMESPACE}.svc:8090`;
  const endpoints = [
    {
      exchange: "bybit",
      restUrl: `http://${simulator}`,
      websocketUrl: `ws://${simulator}/v5/public/linear`,
    },
  ];
  const { operator, api, bot, vault } = images;
  return {
    images: { operator, api, bot, vault },
    database: {
      host: `postgres.${BACKENDS_NAMESPACE}.svc`,
      name: "postgres",
      sslmode: "disable",
      existingSecret: DATABASE_SECRET.name,
    },
    vault: {
      address: `http://vault.${BACKENDS_NAMESPACE}.svc:8200`,
      setup: { tokenSecret: SETUP_TOKEN_SECRET.name },
    },
    operator: { replicas: 1 },
    api: {
      replicas: 1,
      service: { type: "NodePort", nodePort: nodePorts.api },
      // Demo and tests poll; all of their users have one address.
      rateLimits: { free: 0, pro: 0, enterprise: 0, address: 0 },
    },
    journal: { replicas: 1 },
    classes: { free: { endpoints }, pro: { endpoints }, enterprise: { endpoints } },
    networkPolicies: {
      database: { peers },
      vault: { peers },
      extraExchangeEgress: [{ to: peers, ports: [{ protocol: "TCP", port: 8090 }] }],
    },
  };
}

/** The ends of the logs and the latest events, for whoever has to find out why. */
async function whatHappened(kubectl: Kubectl): Promise<string> {
  const inNamespace = ["-n", NAMESPACE];
  const questions = [
    ["get", "pods,jobs", ...inNamespace],
    ["logs", ...inNamespace, "-l", "app.kubernetes.io/name=tradingbots", "--tail=20", "--prefix"],
    ["events", ...inNamespace, "--types=Warning"],
  ];
  const answers = questions.map((question) => kubectl.run(question).catch(String));
  return (await Promise.all(answers)).join("\n");
}
