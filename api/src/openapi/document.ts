import { createMetrics } from "../metrics.ts";
import { createRateLimiter } from "../rate-limit.ts";
import { buildApp, type AppDeps } from "../app.ts";

/** The description of the API as it is served, without anything behind it. */
export async function openApiDocument(): Promise<unknown> {
  const app = await buildApp(nothingBehind());
  const document: unknown = app.swagger();
  await app.close();
  return document;
}

/** Describing asks nobody. */
function absent(): never {
  throw new Error("there is nothing behind the description");
}

/** What the API is made of, where nothing of it answers. */
export function nothingBehind(): AppDeps {
  const pool = { query: absent, connect: absent };
  return {
    pool,
    authPool: pool,
    adminPool: pool,
    audit: { push: absent, refuse: absent },
    kube: {
      bots: { get: absent, create: absent, patch: absent },
      accounts: { get: absent, create: absent, patch: absent },
      halts: { get: absent, create: absent, patch: absent, list: absent },
      findClass: absent,
      ping: absent,
    },
    credentials: { create: absent, replace: absent, ping: absent },
    passwords: { hash: absent, compare: absent, decoy: "", assertRoom: absent, isAlive: absent },
    isBreached: absent,
    tokens: { issue: absent, find: absent, verify: absent, jwks: { keys: [] } },
    revocations: { isFresh: absent, hasEnded: absent, tierOf: absent },
    successorKeys: [Buffer.alloc(0)],
    sealer: { seal: absent, open: absent },
    mailer: undefined,
    appUrl: undefined,
    stepUpSeconds: 0,
    live: { headOf: absent, join: absent, count: () => 0, close: async () => {} },
    registry: createMetrics(),
    buckets: 1,
    limiter: createRateLimiter(Date.now),
    requestsPerMinute: { free: 0, pro: 0, enterprise: 0, address: 0 },
    log: { level: "silent" },
    now: Date.now,
  };
}
