import { readFile } from "node:fs/promises";
import { once } from "node:events";
import { createKubeClient, inClusterAccess, kubeconfigAccess } from "@tradingbots/kube";
import { createVaultStore } from "./accounts/credential-store.ts";
import { buildApp } from "./app.ts";
import { readBreachedPasswords } from "./auth/breached-passwords.ts";
import { createPasswords } from "./auth/passwords.ts";
import { createRevocations } from "./auth/revocations.ts";
import { successorKeyOf } from "./auth/refresh-token.ts";
import { createTokens, readSigningKeys } from "./auth/tokens.ts";
import { loadConfig } from "./config.ts";
import { createPool } from "./database.ts";
import { createKube } from "./kube.ts";
import { createMetrics, listenMetrics } from "./metrics.ts";

const BCRYPT_COST = 12;
/** Two replicas and a journal stay well below Postgres' usual 100 connections. */
const CONNECTIONS_MAX = 10;
const AUTH_CONNECTIONS_MAX = 4;
/** Of the question which log-ins have ended: a connection that hangs is given up and replaced soon. */
const POLL_LIMIT_MS = 500;

const config = loadConfig(process.env);
await using stack = new AsyncDisposableStack();

const pool = stack.adopt(
  createPool({ ...config.database, connectionsMax: CONNECTIONS_MAX }),
  (open) => open.end(),
);
const authPool = stack.adopt(
  createPool({ ...config.authDatabase, connectionsMax: AUTH_CONNECTIONS_MAX }),
  (open) => open.end(),
);
const access =
  config.kubeconfig === undefined
    ? inClusterAccess({
        host: process.env["KUBERNETES_SERVICE_HOST"] ?? "kubernetes.default.svc",
        port: process.env["KUBERNETES_SERVICE_PORT"] ?? "443",
      })
    : await kubeconfigAccess(config.kubeconfig);
const client = stack.adopt(createKubeClient(access), (open) => open.close());
const passwords = stack.adopt(createPasswords({ cost: BCRYPT_COST }), (open) => open.close());
const signingKeys = readSigningKeys(await readFile(config.jwtPrivateKeyFile, "utf8"));
const registry = createMetrics();
const revocationPool = stack.adopt(
  createPool({ ...config.authDatabase, connectionsMax: 1, statementLimitMs: POLL_LIMIT_MS }),
  (open) => open.end(),
);
const revocations = stack.adopt(
  createRevocations({
    database: revocationPool,
    clock: () => performance.now(),
    onError: (error) => app.log.warn({ err: error }, "log-ins cannot be checked"),
  }),
  (open) => open.stop(),
);
const app = stack.adopt(
  await buildApp({
    pool,
    authPool,
    kube: createKube(client),
    credentials: createVaultStore({ ...config.vault, now: Date.now }),
    passwords,
    isBreached: await readBreachedPasswords(config.breachedPasswordsFile),
    decoyHash: await passwords.hash("nobody has this password"),
    tokens: await createTokens(signingKeys, Date.now),
    successorKeys: [successorKeyOf(signingKeys[0]), ...signingKeys.slice(1).map(successorKeyOf)],
    registry,
    buckets: config.buckets,
    requestsPerMinute: config.requestsPerMinute,
    log: { level: config.logLevel },
    trustedProxies: config.trustedProxies,
    revocations,
    now: Date.now,
  }),
  (open) => open.close(),
);
stack.adopt(
  await listenMetrics(registry, { host: config.host, port: config.metricsPort }),
  (open) => open.close(),
);
await revocations.start();
await app.listen({ host: config.host, port: config.port });

await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
app.log.info("ending: requests under way are finished first");
