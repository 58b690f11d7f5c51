import { readFile } from "node:fs/promises";
import { once } from "node:events";
import { createKubeClient, inClusterAccess, kubeconfigAccess } from "@tradingbots/kube";
import { createVaultStore } from "./accounts/credential-store.ts";
import { sweepHalfMade } from "./accounts/half-made.ts";
import { alone } from "./alone.ts";
import { buildApp } from "./app.ts";
import { chainEntries } from "./audit/chainer.ts";
import { type AuditQueue, createAuditQueue } from "./audit/queue.ts";
import { readBreachedPasswords } from "./auth/breached-passwords.ts";
import { createPasswords } from "./auth/passwords.ts";
import { createRevocations } from "./auth/revocations.ts";
import { successorKeyOf } from "./auth/refresh-token.ts";
import { createTokens, readSigningKeys } from "./auth/tokens.ts";
import { createCertificateRenewal, readCertificate } from "./certificate.ts";
import { loadConfig } from "./config.ts";
import { connectionOptions, createPool } from "./database.ts";
import { removeOldKeys } from "./idempotency.ts";
import { createKube } from "./kube.ts";
import { removeSessionsOfGoneBots } from "./journal/gone-bots.ts";
import { endTradesOfGonePaperBots } from "./journal/paper-trades.ts";
import { gaugeMonths, keepMonths } from "./journal/months.ts";
import { createLiveHub } from "./live/live-hub.ts";
import { deliveryOf } from "./mail/delivery.ts";
import { createMailer } from "./mail/mailer.ts";
import { type MailFailure, sendMails } from "./mail/sender.ts";
import { createMetrics, listenMetrics } from "./metrics.ts";
import { workOnPersonalData } from "./personal-data/work.ts";
import { createRateLimiter, type RateLimiter } from "./rate-limit.ts";
import { createRedisCounter } from "./redis-counter.ts";
import { repeat } from "./repeat.ts";
import { createSealer, readServiceKeys } from "./sealer.ts";
import { BACKLOG } from "./server.ts";
import { createSharedRateLimiter } from "./shared-rate-limit.ts";
import { expireSubscriptions } from "./subscriptions/expire.ts";
import { settleBots } from "./subscriptions/settle-bots.ts";

const BCRYPT_COST = 12;
/** Two replicas and a journal stay well below Postgres' usual 100 connections. */
const CONNECTIONS_MAX = 10;
const AUTH_CONNECTIONS_MAX = 4;
/** Of the question which log-ins have ended: a connection that hangs is given up and replaced soon. */
const POLL_LIMIT_MS = 500;
/** Between writings of what the audit has to tell of ends and refusals, and between steps of its chain. */
const AUDIT_MS = 1_000;
/** Subscriptions end, and what was never finished is cleared away, at most so much later. */
const SWEEP_MS = 60_000;
/** A kubelet takes a minute to show a changed Secret: no need to look more often than a few times in that time. */
const CERTIFICATE_MS = 15_000;
/** Somebody waits for an export. */
const PERSONAL_DATA_MS = 5_000;
/** Partitions are made two months ahead: this is often enough to try again many times. */
const MONTHS_MS = 3_600_000;
const ADMIN_CONNECTIONS_MAX = 2;
/** Three sweeps hold one each for their lock, and every piece of work takes one. */
const WORKER_CONNECTIONS_MAX = 7;

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
const sealer = createSealer(readServiceKeys(await readFile(config.serviceKeyFile, "utf8")));
const deliver = await deliveryOf(config.mail);
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
const adminPool = stack.adopt(
  createPool({ ...config.adminDatabase, connectionsMax: ADMIN_CONNECTIONS_MAX }),
  (open) => open.end(),
);
const workerPool = stack.adopt(
  createPool({ ...config.workerDatabase, connectionsMax: WORKER_CONNECTIONS_MAX }),
  (open) => open.end(),
);
const audit: AuditQueue = stack.adopt(createAuditQueue({ database: pool, now: Date.now }), (open) =>
  open.end().catch((error: unknown) => app.log.error({ err: error }, "ends were not audited")),
);
const live = createLiveHub({
  pool,
  direct: connectionOptions(config.directDatabase),
  revocations,
  clock: () => performance.now(),
  onError: (error) => app.log.warn({ err: error }, "live events are delayed"),
});
const kube = createKube(client);
const limiter = await rateLimiter();
const certificate = config.tls === undefined ? undefined : await readCertificate(config.tls);
const app = stack.adopt(
  await buildApp({
    pool,
    authPool,
    adminPool,
    audit,
    kube,
    credentials: createVaultStore({ ...config.vault, now: Date.now }),
    passwords,
    isBreached: await readBreachedPasswords(config.breachedPasswordsFile),
    tokens: await createTokens(signingKeys, Date.now),
    successorKeys: [successorKeyOf(signingKeys[0]), ...signingKeys.slice(1).map(successorKeyOf)],
    sealer,
    mailer:
      deliver === undefined || config.appUrl === undefined
        ? undefined
        : createMailer({ sealer, appUrl: config.appUrl }),
    appUrl: config.appUrl,
    stepUpSeconds: config.stepUpSeconds,
    live,
    registry,
    buckets: config.buckets,
    limiter,
    requestsPerMinute: config.requestsPerMinute,
    log: { level: config.logLevel },
    trustedProxies: config.trustedProxies,
    certificate,
    revocations,
    now: Date.now,
  }),
  (open) => open.close(),
);
stack.adopt(
  await listenMetrics(registry, { host: config.host, port: config.metricsPort }),
  (open) => open.close(),
);
const onSweepError = (error: unknown) => app.log.warn({ err: error }, "a sweep failed");
const swept = { workerPool, kube, onError: onSweepError };
const sweeps = {
  subscriptions: async (ending: AbortSignal) => {
    await expireSubscriptions(workerPool);
    await settleBots(swept, ending);
  },
  halfMade: (ending: AbortSignal) => sweepHalfMade(swept, ending),
  idempotencyKeys: (ending: AbortSignal) => removeOldKeys(workerPool, ending),
  personalData: (ending: AbortSignal) => workOnPersonalData({ ...swept, pool }, ending),
} as const;
for (const [what, everyMs] of [
  ["subscriptions", SWEEP_MS],
  ["halfMade", SWEEP_MS],
  ["idempotencyKeys", SWEEP_MS],
  ["personalData", PERSONAL_DATA_MS],
] as const) {
  const work = (ending: AbortSignal) => alone(workerPool, what, () => sweeps[what](ending));
  stack.adopt(repeat({ everyMs, work, onError: onSweepError }), (open) => open.stop());
}
const gauge = gaugeMonths(registry);
const keepJournal = async () => {
  const months = await keepMonths(workerPool, config.retention);
  gauge(months);
  for (const month of months) {
    if (month.made.length + month.dropped.length > 0) app.log.info(month, "partitions changed");
  }
  await removeSessionsOfGoneBots(workerPool);
  await endTradesOfGonePaperBots(workerPool);
};
stack.adopt(repeat({ everyMs: MONTHS_MS, work: keepJournal, onError: onSweepError }), (open) =>
  open.stop(),
);
for (const work of [() => audit.flush(), () => chainEntries(workerPool)]) {
  const onError = (error: unknown) => app.log.warn({ err: error }, "the audit waits");
  stack.adopt(repeat({ everyMs: AUDIT_MS, work, onError }), (open) => open.stop());
}
if (config.tls !== undefined && certificate !== undefined) {
  const options = { files: config.tls, first: certificate };
  const work = createCertificateRenewal(app.server, options);
  const onError = (error: unknown) =>
    app.log.warn({ err: error }, "the certificate is not renewed");
  stack.adopt(repeat({ everyMs: CERTIFICATE_MS, work, onError }), (open) => open.stop());
}
if (deliver === undefined) {
  app.log.warn("mails cannot be sent: neither SMTP_URL_FILE nor MAIL_WEBHOOK_URL_FILE is set");
} else {
  const onFailure = ({ error, mail }: MailFailure) =>
    app.log.warn({ err: error, mail }, "a mail has not left");
  stack.adopt(sendMails({ database: authPool, sealer, deliver, onFailure }), (open) => open.stop());
}
await revocations.start();
await app.listen({ host: config.host, port: config.port, backlog: BACKLOG });

await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
app.log.info("ending: requests under way are finished first");
await app.close(); // before the sweeps and mails that are under way: they may take longer than a pod is given

function onRedisAway(error: unknown): void {
  app.log.warn({ err: error }, "Redis is away: requests are counted per process");
}

/** Over Redis where there is one. */
async function rateLimiter(): Promise<RateLimiter> {
  const own = createRateLimiter(Date.now);
  if (config.redis === undefined) return own;
  const { url, passwordFile } = config.redis;
  const password =
    passwordFile === undefined ? undefined : (await readFile(passwordFile, "utf8")).trim();
  // Connections come and go; what it means for requests is told by onAway.
  const counter = createRedisCounter({ url, password, onError: () => {} });
  stack.adopt(counter, (open) => open.close());
  return createSharedRateLimiter({
    counter,
    own,
    clock: () => performance.now(),
    onAway: onRedisAway,
  });
}
