import { z } from "zod";

const Config = z
  .object({
    PORT: z.coerce.number().int().min(0).max(65_535).default(8081),
    HOST: z.string().default("0.0.0.0"),
    DATABASE_URL: z.url(),
    /** A connection that no transaction pooler stands before: LISTEN dies behind one. */
    DIRECT_DATABASE_URL: z.url().optional(),
    DATABASE_PASSWORD_FILE: z.string().min(1).optional(),
    DATABASE_CONNECTIONS: z.coerce.number().int().min(1).max(200).default(16),
    OPERATOR_SUBJECT: z.string().default("system:serviceaccount:tradingbots:tradingbots-operator"),
    KUBECONFIG: z.string().min(1).optional(),
    LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
  })
  .transform((env) => ({
    port: env.PORT,
    host: env.HOST,
    database: { url: env.DATABASE_URL, passwordFile: env.DATABASE_PASSWORD_FILE },
    directDatabase: {
      url: env.DIRECT_DATABASE_URL ?? env.DATABASE_URL,
      passwordFile: env.DATABASE_PASSWORD_FILE,
    },
    connectionsMax: env.DATABASE_CONNECTIONS,
    operatorSubject: env.OPERATOR_SUBJECT,
    kubeconfig: env.KUBECONFIG,
    logLevel: env.LOG_LEVEL,
  }));
export type JournalConfig = z.infer<typeof Config>;

/** @throws Error that lists every mistake. */
export function loadJournalConfig(env: NodeJS.ProcessEnv): JournalConfig {
  const parsed = Config.safeParse(env);
  if (!parsed.success) throw new Error(`invalid configuration\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
