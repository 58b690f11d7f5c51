import { adminRoutes } from "./admin/routes.ts";
import type { Database } from "./database.ts";
import cookie from "@fastify/cookie";
import swagger from "@fastify/swagger";
import {
  type FastifyPluginAsyncZod,
  jsonSchemaTransform,
  jsonSchemaTransformObject,
} from "fastify-type-provider-zod";
import type { Registry } from "prom-client";
import { auditAttempts, auditEnds } from "./audit/requests.ts";
import type { AuditQueue } from "./audit/queue.ts";
import { accountRoutes } from "./accounts/routes.ts";
import type { CredentialStore } from "./accounts/credential-store.ts";
import { apiTokenRoutes } from "./auth/api-token-routes.ts";
import { createApiTokens } from "./auth/api-tokens.ts";
import { authenticate } from "./auth/authenticate.ts";
import type { IsBreached } from "./auth/breached-passwords.ts";
import { emailRoutes, verificationMailRoutes } from "./auth/email-routes.ts";
import { createIdentify } from "./auth/identify.ts";
import { createKnownDevices } from "./auth/known-devices.ts";
import { jwksRoute } from "./auth/jwks.ts";
import { createLoginThrottle } from "./auth/login-throttle.ts";
import { mfaRoutes } from "./auth/mfa-routes.ts";
import { passkeyLoginRoutes, passkeyRoutes } from "./auth/passkey-routes.ts";
import { createPasskeyAnswers } from "./auth/passkey-answer.ts";
import { createPasskeyRegistration } from "./auth/passkey-registration.ts";
import type { Passwords } from "./auth/passwords.ts";
import { authRoutes, meRoutes } from "./auth/routes.ts";
import type { Revocations } from "./auth/revocations.ts";
import { createSecondFactors } from "./auth/second-factors.ts";
import { REFRESH_COOKIE } from "./auth/session-cookies.ts";
import { deviceRoutes, passwordRoutes, refreshRoutes } from "./auth/session-routes.ts";
import { createSessions } from "./auth/sessions.ts";
import { stepUpRoutes } from "./auth/step-up-routes.ts";
import { createStepUp, createTwoFactorCheck } from "./auth/step-up.ts";
import type { Tokens } from "./auth/tokens.ts";
import type { Tier } from "./auth/user.ts";
import { botRoutes } from "./bots/routes.ts";
import { warnOfUnknownProxies } from "./forwarded.ts";
import { type Check, healthRoutes } from "./health.ts";
import type { Kube } from "./kube.ts";
import type { LiveHub } from "./live/live-hub.ts";
import { countListeners } from "./live/metrics.ts";
import { liveRoutes } from "./live/routes.ts";
import { routeUpgrades } from "./live/upgrades.ts";
import type { LogSettings } from "./logger.ts";
import type { Mailer } from "./mail/mailer.ts";
import { observeRequests } from "./metrics.ts";
import type { RateLimiter } from "./rate-limit.ts";
import { noticeRoutes } from "./notices/routes.ts";
import { withoutUnusedSchemas } from "./openapi/unused-schemas.ts";
import { personalDataRoutes } from "./personal-data/routes.ts";
import { robotRoutes } from "./robot/routes.ts";
import type { Sealer } from "./sealer.ts";
import type { Certificate } from "./certificate.ts";
import { createServer, type Server } from "./server.ts";
import { equityRoutes } from "./trades/equity.ts";
import { tradeCsvRoutes } from "./trades/csv.ts";
import { statisticsRoutes } from "./trades/statistics.ts";
import { tradeRoutes } from "./trades/routes.ts";
import { tradingRoutes } from "./trading/routes.ts";

const BODY_BYTES_MAX = 1024 * 1024;

export interface AppDeps {
  readonly pool: Database;
  readonly authPool: Database;
  readonly adminPool: Database;
  readonly audit: Pick<AuditQueue, "push" | "refuse">;
  readonly kube: Kube;
  readonly credentials: CredentialStore;
  readonly passwords: Pick<Passwords, "hash" | "compare" | "decoy" | "assertRoom" | "isAlive">;
  readonly isBreached: IsBreached;
  /** A bcrypt hash of nobody's password. */
  readonly tokens: Tokens;
  readonly revocations: Pick<Revocations, "isFresh" | "hasEnded" | "tierOf">;
  /** Of 32 bytes, known to this service alone: refresh tokens follow from one another by the first. */
  readonly successorKeys: readonly [Buffer, ...Buffer[]];
  /** For what must be read again and must not lie in the database as it is. */
  readonly sealer: Sealer;
  /** Undefined when mails cannot be sent here. */
  readonly mailer: Mailer | undefined;
  /** Where the web app is; undefined when there is none, and then no passkeys. */
  readonly appUrl: string | undefined;
  readonly stepUpSeconds: number;
  /** Who listens to what happens. */
  readonly live: Pick<LiveHub, "headOf" | "join" | "count" | "close">;
  readonly registry: Registry;
  readonly buckets: number;
  readonly limiter: RateLimiter;
  readonly requestsPerMinute: Readonly<Record<Tier | "address", number>>;
  readonly log: LogSettings;
  readonly trustedProxies?: readonly string[] | undefined;
  readonly certificate?: Certificate | undefined;
  readonly now: () => number;
}

/** The REST API without a port. */
export async function buildApp(deps: AppDeps): Promise<Server> {
  const { log, trustedProxies, certificate } = deps;
  const server = createServer({
    log,
    bodyBytesMax: BODY_BYTES_MAX,
    ...(trustedProxies === undefined ? {} : { trustedProxies }),
    ...(certificate === undefined ? {} : { certificate }),
  });
  warnOfUnknownProxies(server);
  observeRequests(server, deps.registry);
  countListeners(deps.live, deps.registry);
  server.addHook("preClose", deps.live.close); // they would hold the end up for ever
  routeUpgrades(server);
  auditEnds(server, deps.audit);
  await describe(server);
  routes(server, deps);
  await server.ready();
  return server;
}

function routes(server: Server, deps: AppDeps): void {
  const sessions = createSessions({
    ...deps,
    onReuse: (session) => server.log.warn({ session }, "a refresh token was used twice"),
  });
  const { requestsPerMinute } = deps;
  const throttle = createLoginThrottle(deps.now);
  const passkeys = createPasskeyAnswers(deps);
  const secondFactors = createSecondFactors({ ...deps, passkeys });
  const identify = createIdentify({ ...deps, throttle, secondFactors });
  const requireStepUp = createStepUp(deps);
  const requireTwoFactors = createTwoFactorCheck(deps);
  const devices = createKnownDevices(deps);
  const apiTokens = createApiTokens(deps);
  const requestsPerMinutePerAddress = requestsPerMinute.address;
  const registrar = createPasskeyRegistration(deps);
  const proving = { throttle, identify, passkeys, registrar, secondFactors, requireStepUp };
  const auth = { ...deps, ...proving, sessions, devices, requestsPerMinutePerAddress };
  void server.register(
    withCookies(authRoutes(auth), refreshRoutes(auth), emailRoutes(auth), passkeyLoginRoutes(auth)),
    { prefix: "/api/auth" },
  );
  // Whatever is registered in here needs a token: a new route cannot forget it.
  void server.register(
    async (secured) => {
      secured.addHook("onRequest", authenticate({ ...deps, apiTokens }));
      secured.addHook("preHandler", auditAttempts(deps.pool));
      await secured.register(meRoutes(deps));
      await secured.register(withCookies(passwordRoutes(auth)), { prefix: "/auth" });
      await secured.register(stepUpRoutes(auth), { prefix: "/auth" });
      await secured.register(verificationMailRoutes(deps), { prefix: "/auth" });
      await secured.register(mfaRoutes(auth), { prefix: "/auth/mfa" });
      await secured.register(deviceRoutes(deps), { prefix: "/sessions" });
      await secured.register(passkeyRoutes(auth), { prefix: "/passkeys" });
      await secured.register(apiTokenRoutes(auth), { prefix: "/tokens" });
      await secured.register(accountRoutes(auth), { prefix: "/accounts" });
      await secured.register(botRoutes(auth), { prefix: "/bots" });
      await secured.register(tradingRoutes(deps), { prefix: "/bots" });
      await secured.register(noticeRoutes(deps), { prefix: "/notices" });
      await secured.register(personalDataRoutes(auth), { prefix: "/personal-data" });
      await secured.register(tradeRoutes(deps), { prefix: "/trades" });
      await secured.register(statisticsRoutes(deps), { prefix: "/trades" });
      await secured.register(tradeCsvRoutes(deps));
      await secured.register(equityRoutes(deps));
      await secured.register(liveRoutes(deps));
      await secured.register(robotRoutes(auth), { prefix: "/robot" });
    },
    { prefix: "/api" },
  );
  void server.register(
    async (administered) => {
      administered.addHook("onRequest", authenticate({ ...deps, apiTokens }));
      await administered.register(adminRoutes({ ...auth, requireTwoFactors }));
    },
    { prefix: "/api/admin" },
  );
  void server.register(jwksRoute(deps));
  healthRoutes(server, {
    database: { check: () => deps.pool.query("select 1"), isRequired: true },
    authDatabase: { check: () => deps.authPool.query("select 1"), isRequired: true },
    logins: { check: () => assertFresh(deps.revocations), isRequired: true },
    // Reading trades works without these, and taking every replica out of service would help nobody.
    kubernetes: { check: () => deps.kube.ping(), isRequired: false },
    vault: { check: () => deps.credentials.ping(), isRequired: false },
    passwords: { check: () => assertAlive(deps.passwords), isRequired: false },
    ...sharedLimits(deps.limiter),
  });
}

/** Where sessions begin and end; elsewhere cookies would cost each request two hooks and a map. */
function withCookies(...plugins: readonly FastifyPluginAsyncZod[]): FastifyPluginAsyncZod {
  return async (app) => {
    await app.register(cookie);
    for (const plugin of plugins) await app.register(plugin);
  };
}

function sharedLimits({ check }: RateLimiter): Readonly<Record<string, Check>> {
  return check === undefined ? {} : { redis: { check, isRequired: false } };
}

async function assertFresh(revocations: Pick<Revocations, "isFresh">): Promise<void> {
  if (!revocations.isFresh()) throw new Error("it is not known which log-ins have ended");
}

async function assertAlive(passwords: Pick<Passwords, "isAlive">): Promise<void> {
  if (!passwords.isAlive()) throw new Error("the bcrypt process is not running");
}

async function describe(server: Server): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Trading bots",
        version: "1.0.0",
        description: "Times are RFC 3339 UTC; money, prices and quantities are decimal strings.",
      },
      components: {
        securitySchemes: {
          accessToken: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
          apiToken: {
            type: "http",
            scheme: "bearer",
            description: "From POST /api/tokens, with the scope that is named.",
          },
          refreshCookie: { type: "apiKey", in: "cookie", name: REFRESH_COOKIE },
        },
      },
      security: [{ accessToken: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => withoutUnusedSchemas(jsonSchemaTransformObject(document)),
  });
  let text: string | undefined;
  server.get("/api/openapi.json", { schema: { hide: true } }, async (_, reply) => {
    text ??= JSON.stringify(server.swagger());
    return reply.type("application/json").send(text);
  });
}
