import { randomBytes } from "node:crypto";
import { z } from "zod";
import { kubectlFor, type Kubectl } from "../../platform/kubectl.ts";
import {
  BACKENDS_NAMESPACE,
  type BackendImages,
  backendServices,
  exchangeSimulator,
  postgres,
  POSTGRES_DATA,
  POSTGRES_SECRET,
  restrictedNamespace,
  secret,
  vault,
  vaultConfiguration,
} from "./manifests.ts";

const ROLLOUT_LIMIT = "180s";

interface Backends {
  readonly kubeconfig: string;
  readonly images: BackendImages;
  /** Candles per second to begin with. */
  readonly speed?: string;
}

/** What a test or a demo needs to look into the database. */
export const PostgresAccess = z.object({
  namespace: z.string(),
  service: z.string(),
  pod: z.string(),
  database: z.string(),
  password: z.string(),
  dataDirectory: z.string(),
});
export type PostgresAccess = z.infer<typeof PostgresAccess>;

/** Installs Postgres, Vault and the exchange simulator, and waits until they answer. Safe to repeat. */
export async function installBackends(options: Backends): Promise<PostgresAccess> {
  const { images, kubeconfig, speed = "1" } = options;
  const kubectl = await kubectlFor(kubeconfig);
  await kubectl.apply(restrictedNamespace(BACKENDS_NAMESPACE));
  const password = await ensurePostgresPassword(kubectl);
  const items = [
    postgres(images.postgres),
    vaultConfiguration(),
    vault(images.vault),
    exchangeSimulator(images["exchange-simulator"], speed),
    ...backendServices(),
  ];
  await kubectl.apply({ apiVersion: "v1", kind: "List", items });
  for (const name of [
    "statefulset/postgres",
    "statefulset/vault",
    "deployment/exchange-simulator",
  ]) {
    await rolledOut(kubectl, name);
  }
  return {
    namespace: BACKENDS_NAMESPACE,
    service: "postgres",
    pod: "postgres-0",
    database: "postgres",
    password,
    dataDirectory: POSTGRES_DATA,
  };
}

async function rolledOut(kubectl: Kubectl, name: string): Promise<void> {
  const where = ["-n", BACKENDS_NAMESPACE, name];
  try {
    await kubectl.run(["rollout", "status", ...where, `--timeout=${ROLLOUT_LIMIT}`]);
  } catch (error) {
    const pods = await kubectl.run(["describe", "pods", "-n", BACKENDS_NAMESPACE]);
    throw new Error(`${name} does not come up:\n${pods}`, { cause: error });
  }
}

/** The password is made once: a database that exists keeps the one it was made with. */
async function ensurePostgresPassword(kubectl: Kubectl): Promise<string> {
  const key = { namespace: BACKENDS_NAMESPACE, name: POSTGRES_SECRET };
  const present = await readSecret(kubectl, key);
  if (present?.["password"] !== undefined) return present["password"];
  const password = randomBytes(18).toString("base64url");
  await kubectl.apply(secret(key, { password }));
  return password;
}

interface Key {
  readonly namespace: string;
  readonly name: string;
}

/** The values of a Secret in clear; undefined when there is none. */
export async function readSecret(
  kubectl: Kubectl,
  { namespace, name }: Key,
): Promise<Readonly<Record<string, string>> | undefined> {
  const list = z
    .object({ items: z.array(z.object({ data: z.record(z.string(), z.string()).default({}) })) })
    .parse(
      await kubectl.json([
        "get",
        "secrets",
        "-n",
        namespace,
        `--field-selector=metadata.name=${name}`,
      ]),
    );
  const found = list.items[0];
  if (found === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(found.data).map(([key, value]) => [
      key,
      Buffer.from(value, "base64").toString(),
    ]),
  );
}
