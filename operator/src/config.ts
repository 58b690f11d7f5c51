import { bucketNamespace } from "@tradingbots/crds";
import { z } from "zod";

const TOKENS = "/var/run/secrets/tradingbots";
/** Kubernetes is tested up to 3,000 pods a namespace; 256 buckets are more than a cluster can run. */
const BUCKETS_MAX = 256;

const Config = z
  .object({
    POD_NAMESPACE: z.string().min(1).describe("Holds the lease."),
    POD_NAME: z.string().min(1),
    BUCKETS: z.coerce.number().int().min(1).max(BUCKETS_MAX).default(4),
    PORT: z.coerce.number().int().min(0).max(65_535).default(8082),
    LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
    VAULT_ADDR: z.url(),
    VAULT_TOKEN_FILE: z.string().min(1).default(`${TOKENS}/vault/token`),
    VAULT_AGENT_IMAGE: z.string().min(1).describe("Image of the init container that fetches keys."),
    JOURNAL_URL: z.url(),
    JOURNAL_TOKEN_FILE: z.string().min(1).default(`${TOKENS}/journal/token`),
    VAULT_LOGINS_PER_SECOND: z.coerce
      .number()
      .int()
      .min(1)
      .max(10_000)
      .default(50)
      .describe("Pods with a key that may start in a second: each logs in at Vault."),
    VERIFY_CLASS: z.string().min(1).default("free").describe("BotClass of verify pods."),
    CLASSES: z
      .string()
      .min(1)
      .optional()
      .describe("BotClasses whose pods the cluster admits, by comma; unset: all."),
    IMAGE_PULL_POLICY: z.enum(["Always", "IfNotPresent", "Never"]).default("IfNotPresent"),
    KUBECONFIG: z.string().min(1).optional().describe("For development, outside a cluster."),
    KUBERNETES_SERVICE_HOST: z.string().optional(),
    KUBERNETES_SERVICE_PORT: z.string().default("443"),
  })
  .transform((env) => ({
    namespace: env.POD_NAMESPACE,
    podName: env.POD_NAME,
    namespaces: Array.from({ length: env.BUCKETS }, (_, bucket) => bucketNamespace(bucket)),
    port: env.PORT,
    logLevel: env.LOG_LEVEL,
    vault: { address: env.VAULT_ADDR, tokenFile: env.VAULT_TOKEN_FILE },
    journal: { url: env.JOURNAL_URL, tokenFile: env.JOURNAL_TOKEN_FILE },
    vaultLoginsPerSecond: env.VAULT_LOGINS_PER_SECOND,
    verifyClass: env.VERIFY_CLASS,
    classes: env.CLASSES?.split(","),
    pods: {
      vaultAddress: env.VAULT_ADDR,
      vaultImage: env.VAULT_AGENT_IMAGE,
      journalUrl: env.JOURNAL_URL,
      imagePullPolicy: env.IMAGE_PULL_POLICY,
    },
    kubeconfigPath: env.KUBECONFIG,
    kubernetes: { host: env.KUBERNETES_SERVICE_HOST, port: env.KUBERNETES_SERVICE_PORT },
  }));
export type Config = z.infer<typeof Config>;

/** What every pod that the operator makes has in common. */
export type PodSettings = Config["pods"];

/** @throws Error that lists every mistake. */
export function loadConfig(env: NodeJS.ProcessEnv): Config {
  const parsed = Config.safeParse(env);
  if (!parsed.success) throw new Error(`invalid configuration\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
