/** Every name that more than one part of the system must agree on. */

export const GROUP = "tradingbots.dev";
export const VERSION = "v1alpha1";
export const API_VERSION = `${GROUP}/${VERSION}`;

export const BUCKET_NAMESPACE_PREFIX = "tradingbots-";

/** `tradingbots-00` for 0: a user's bots live in the bucket chosen at registration. */
export function bucketNamespace(bucket: number): string {
  return `${BUCKET_NAMESPACE_PREFIX}${String(bucket).padStart(2, "0")}`;
}

export const LABELS = {
  user: `${GROUP}/user`,
  bot: `${GROUP}/bot`,
  account: `${GROUP}/account`,
  /** `open` on the pod of a bot that may hold a position: the PodDisruptionBudget covers it. */
  position: `${GROUP}/position`,
  role: `${GROUP}/role`,
  /** The BotClass whose template a pod was made from. */
  class: `${GROUP}/class`,
  name: "app.kubernetes.io/name",
  component: "app.kubernetes.io/component",
  managedBy: "app.kubernetes.io/managed-by",
} as const;

export const ANNOTATIONS = {
  /** JSON of `BotConfig`, shown to the bot as a file by the downward API. */
  config: `${GROUP}/config`,
  /** The `credentialsVersion` a pod was started with; another version replaces the pod. */
  credentialsVersion: `${GROUP}/credentials-version`,
  /** On a TradingBot: uids of the Flatten halts that have paused it. Each does so once. */
  pausedByHalts: `${GROUP}/paused-by-halts`,
} as const;

export const FINALIZERS = {
  /** Held by a TradingBot until its position is known to be flat. */
  bot: `${GROUP}/flat`,
  /** Held by an ExchangeAccount until its bots are gone and Vault has forgotten its key. */
  account: `${GROUP}/account`,
} as const;

/** Paths inside a bot's or verify pod. */
export const POD_PATHS = {
  config: "/etc/tradingbots/config.json",
  credentials: "/vault/secrets/credentials.json",
  journalToken: "/var/run/secrets/tradingbots/journal/token",
  vaultToken: "/var/run/secrets/tradingbots/vault/token",
  terminationMessage: "/dev/termination-log",
} as const;

/**
 * How a paper bot's process is started, beyond what its image says. Without compilers a Node is 16 MB smaller, and signing an order ten
 * times slower; one that collects its heap itself is 7 MB smaller, and stands still meanwhile: for those who send no order. What was
 * compiled for live bots has other flags; Node would hold 0.5 MB for a cache that it finds empty and cannot write.
 */
export const PAPER_PROCESS = {
  flags: ["--lite-mode", "--expose-gc", "--compact-on-every-full-gc"],
  environment: [{ name: "NODE_DISABLE_COMPILE_CACHE", value: "1" }],
} as const;

/** Audiences of projected service account tokens; each token serves one of them. */
export const AUDIENCES = { vault: "vault", journal: "journal" } as const;

export const VAULT = { mount: "tradingbots", jwtMount: "jwt" } as const;

/** Path of an account's key below the KV v2 mount; the bots' templated policy grants exactly this one. */
export function credentialsPath(namespace: string, accountName: string): string {
  return `${namespace}/${accountName}`;
}

/** A paper bot has no account and therefore a service account of its own. */
export function paperServiceAccount(botName: string): string {
  return `paper-${botName}`;
}

export function verifyPodName(accountName: string, credentialsVersion: number): string {
  return `verify-${accountName}-v${credentialsVersion}`;
}
