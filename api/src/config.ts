import { join } from "node:path";
import { POD_PATHS } from "@tradingbots/crds";
import { z } from "zod";

const Port = z.coerce.number().int().min(0).max(65_535);
/** Whole months behind the one that runs; the database refuses to drop anything younger than three. */
const Months = z.coerce.number().int().min(3).max(1_200);
/** Requests a minute; 0 lifts the limit. */
const PerMinute = z.coerce.number().int().min(0).max(1_000_000);

const Config = z
  .object({
    PORT: Port.default(8080),
    METRICS_PORT: Port.default(9090),
    HOST: z.string().default("0.0.0.0"),
    DATABASE_URL: z.url(),
    DATABASE_PASSWORD_FILE: z.string().min(1).optional(),
    /** A connection that no transaction pooler stands before: LISTEN dies behind one. */
    DIRECT_DATABASE_URL: z.url().optional(),
    AUTH_DATABASE_URL: z.url(),
    AUTH_DATABASE_PASSWORD_FILE: z.string().min(1).optional(),
    ADMIN_DATABASE_URL: z.url(),
    ADMIN_DATABASE_PASSWORD_FILE: z.string().min(1).optional(),
    WORKER_DATABASE_URL: z.url(),
    WORKER_DATABASE_PASSWORD_FILE: z.string().min(1).optional(),
    VAULT_ADDR: z.url(),
    VAULT_TOKEN_FILE: z.string().min(1).default(POD_PATHS.vaultToken),
    JWT_PRIVATE_KEY_FILE: z.string().min(1),
    SERVICE_KEY_FILE: z.string().min(1),
    APP_URL: z.url({ protocol: /^https?$/ }).optional(),
    MAIL_FROM: z.string().min(3).optional(),
    SMTP_URL_FILE: z.string().min(1).optional(),
    MAIL_WEBHOOK_URL_FILE: z.string().min(1).optional(),
    STEP_UP_SECONDS: z.coerce.number().int().min(30).max(3_600).default(300),
    TLS_CERT_FILE: z.string().min(1).optional(),
    TLS_KEY_FILE: z.string().min(1).optional(),
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
    RETENTION_EQUITY_MONTHS: Months.default(13),
    RETENTION_EVENTS_MONTHS: Months.default(6),
    REDIS_URL: z.url({ protocol: /^rediss?$/ }).optional(),
    REDIS_PASSWORD_FILE: z.string().min(1).optional(),
    TRUSTED_PROXIES: z
      .string()
      .transform((list) => list.split(",").map((address) => address.trim()))
      .optional(),
    LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
  })
  .superRefine((env, context) => {
    const refuse = (path: string, message: string) =>
      context.addIssue({ code: "custom", path: [path], message });
    if ((env.TLS_CERT_FILE === undefined) !== (env.TLS_KEY_FILE === undefined)) {
      refuse("TLS_KEY_FILE", "a certificate and its key come together");
    }
    if (
      (env.SMTP_URL_FILE ?? env.MAIL_WEBHOOK_URL_FILE) !== undefined &&
      env.APP_URL === undefined
    ) {
      refuse("APP_URL", "links in mails lead to the web app");
    }
  })
  .transform((env) => ({
    port: env.PORT,
    metricsPort: env.METRICS_PORT,
    host: env.HOST,
    database: { url: env.DATABASE_URL, passwordFile: env.DATABASE_PASSWORD_FILE },
    directDatabase: {
      url: env.DIRECT_DATABASE_URL ?? env.DATABASE_URL,
      passwordFile: env.DATABASE_PASSWORD_FILE,
    },
    authDatabase: { url: env.AUTH_DATABASE_URL, passwordFile: env.AUTH_DATABASE_PASSWORD_FILE },
    adminDatabase: { url: env.ADMIN_DATABASE_URL, passwordFile: env.ADMIN_DATABASE_PASSWORD_FILE },
    workerDatabase: {
      url: env.WORKER_DATABASE_URL,
      passwordFile: env.WORKER_DATABASE_PASSWORD_FILE,
    },
    vault: { address: env.VAULT_ADDR, tokenFile: env.VAULT_TOKEN_FILE },
    jwtPrivateKeyFile: env.JWT_PRIVATE_KEY_FILE,
    serviceKeyFile: env.SERVICE_KEY_FILE,
    appUrl: env.APP_URL,
    mail: {
      smtpUrlFile: env.SMTP_URL_FILE,
      webhookUrlFile: env.MAIL_WEBHOOK_URL_FILE,
      from: env.MAIL_FROM,
    },
    stepUpSeconds: env.STEP_UP_SECONDS,
    tls:
      env.TLS_CERT_FILE === undefined || env.TLS_KEY_FILE === undefined
        ? undefined
        : { certFile: env.TLS_CERT_FILE, keyFile: env.TLS_KEY_FILE },
    breachedPasswordsFile: env.BREACHED_PASSWORDS_FILE,
    buckets: env.BUCKETS,
    kubeconfig: env.KUBECONFIG,
    requestsPerMinute: {
      free: env.RATE_LIMIT_FREE,
      pro: env.RATE_LIMIT_PRO,
      enterprise: env.RATE_LIMIT_ENTERPRISE,
      address: env.RATE_LIMIT_ADDRESS,
    },
    retention: { equity: env.RETENTION_EQUITY_MONTHS, events: env.RETENTION_EVENTS_MONTHS },
    redis:
      env.REDIS_URL === undefined
        ? undefined
        : { url: env.REDIS_URL, passwordFile: env.REDIS_PASSWORD_FILE },
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
