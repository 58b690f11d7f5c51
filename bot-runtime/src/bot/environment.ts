import { POD_PATHS } from "@tradingbots/crds";
import * as z from "zod";

const Environment = z
  .object({
    JOURNAL_URL: z.url(),
    POD_UID: z.string().min(1),
    POD_NAME: z.string().min(1),
    POD_NAMESPACE: z.string().min(1),
    HEALTH_PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
    // Where a pod has them; other paths are for running a bot outside of one.
    CONFIG_FILE: z.string().default(POD_PATHS.config),
    CREDENTIALS_FILE: z.string().default(POD_PATHS.credentials),
    JOURNAL_TOKEN_FILE: z.string().default(POD_PATHS.journalToken),
    TERMINATION_FILE: z.string().default(POD_PATHS.terminationMessage),
  })
  .transform((env) => ({
    journalUrl: env.JOURNAL_URL,
    podUid: env.POD_UID,
    podName: env.POD_NAME,
    podNamespace: env.POD_NAMESPACE,
    healthPort: env.HEALTH_PORT,
    configFile: env.CONFIG_FILE,
    credentialsFile: env.CREDENTIALS_FILE,
    journalTokenFile: env.JOURNAL_TOKEN_FILE,
    terminationFile: env.TERMINATION_FILE,
  }));
export type Environment = z.infer<typeof Environment>;

/** Throws with a list of what is wrong; values are not in it. */
export function readEnvironment(env: NodeJS.ProcessEnv): Environment {
  const parsed = Environment.safeParse(env);
  if (!parsed.success) throw new Error(`invalid environment\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
