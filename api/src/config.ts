import { join } from "node:path";
import { POD_PATHS } from "@tradingbots/crds";
import { z } from "zod";

const Port = z.coerce.number().int().min(0).max(65_535);
/** Requests a minute; 0 lifts the limit. */
const PerMinute = z.coerce.number().int().min(0).max(1_000_000);

const Config = z
  .object({
    PORT: Port.default(8080),
    METRICS_PORT: Port.default(9090),
    HOST: z.string().default("0.0.0.0"),
    DATABASE_URL: z.url(),
    DATABASE_PASSWORD_FILE: z.string().min(1).optional(),
    AUTH_DATABASE_URL: z.url(),
    AUTH_DATABASE_PASSWORD_FILE: z.string().min(1).optional(),
    ADMIN_DATABASE_URL: z.url(),
    ADMIN_DATABASE_PASSWORD_FILE: z.string().min(1).optional(),
    WORKER_DATABASE_URL: z.url(),
    WORKER_DATABASE_PASSWORD_FILE: z.string().min(1).optional(),
    VAULT_ADDR: z.url(),
    VAULT_TOKEN_FILE: z.string().min(1).default(POD_PATHS.vaultToken),
    JWT_PRIVATE_KEY_FILE: z.string().min(1),
    BREACHED_PASSWORDS_FILE: z
      .string()
      .min(1)
      .default(
        import.meta.filename.endsWith(".ts")
          ? join(import.meta.dirname, "..", "data", "breached-passwords.bin")
          : join(import.meta.dirname, "data", "breached-passwords.bin"),
      ),
    BUCKETS: z.coerce.number().int().min(1).max(100).default(4),
    KUBECONFIG: z.string().min(1).optional(),
    RATE_LIMIT_FREE: PerMinute.default(60),
    RATE_LIMIT_PRO: PerMinute.default(300),
    RATE_LIMIT_ENTERPRISE: PerMinute.default(1_000),
    RATE_LIMIT_ADDRESS: PerMinute.default(60),
    TRUSTED_PROXIES: z
      .string()
      .transform((list) => list.split(",").map((address) => address.trim()))
      .optional(),
    LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
  })
  .transform((env) => ({
    port: env.PORT,
    metricsPort: env.METRICS_PORT,
    host: env.HOST,
    database: { url: env.DATABASE_URL, passwordFile: env.DATABASE_PASSWORD_FILE },
    authDatabase: { url: env.AUTH_DATABASE_URL, passwordFile: env.AUTH_DATABASE_PASSWORD_FILE },
    adminDatabase: { url: env.ADMIN_DATABASE_URL, passwordFile: env.ADMIN_DATABASE_PASSWORD_FILE },
    workerDatabase: {
      url: env.WORKER_DATABASE_URL,
      passwordFile: env.WORKER_DATABASE_PASSWORD_FILE,
    },
    vault: { address: env.VAULT_ADDR, tokenFile: env.VAULT_TOKEN_FILE },
    jwtPrivateKeyFile: env.JWT_PRIVATE_KEY_FILE,
    breachedPasswordsFile: env.BREACHED_PASSWORDS_FILE,
    buckets: env.BUCKETS,
    kubeconfig: env.KUBECONFIG,
    requestsPerMinute: {
      free: env.RATE_LIMIT_FREE,
      pro: env.RATE_LIMIT_PRO,
      enterprise: env.RATE_LIMIT_ENTERPRISE,
      address: env.RATE_LIMIT_ADDRESS,
    },
    trustedProxies: env.TRUSTED_PROXIES,
    logLevel: env.LOG_LEVEL,
  }));
export type Config = z.infer<typeof Config>;

/** @throws Error that lists every mistake. */
export function loadConfig(env: NodeJS.ProcessEnv): Config {
  const parsed = Config.safeParse(env);
  if (!parsed.success) throw new Error(`invalid configuration\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
