import type { FastifyBaseLogger } from "fastify";
import { z } from "zod";
import { FAILURE } from "./problem.ts";
import type { Server } from "./server.ts";

/** A dependency that hangs must not hang the probe. */
const CHECK_LIMIT_MS = 2_000;
/** One look is for everybody who asks meanwhile, and so much later: nobody takes the connections of those who work by asking. */
const KNOWN_FOR_MS = 500;

export interface Check {
  /** Rejects when the dependency does not work. */
  readonly check: () => Promise<unknown>;
  /** Without it nothing can be answered. The others are told, and readiness stays. */
  readonly isRequired: boolean;
}

const Alive = z.object({ ok: z.literal(true) }).meta({ examples: [{ ok: true }] });
const Readiness = z
  .object({ ready: z.boolean(), checks: z.record(z.string(), z.enum(["ok", "failing"])) })
  .meta({ examples: [{ ready: true, checks: { database: "ok", vault: "failing" } }] });

const OPEN = { tags: ["health"], security: [] };

/** GET /healthz (the process lives) and /readyz (which dependency fails). */
export function healthRoutes(server: Server, checks: Readonly<Record<string, Check>>): void {
  const quiet = { logLevel: "warn" } as const; // probes come every second
  server.get(
    "/healthz",
    {
      ...quiet,
      schema: { ...OPEN, response: { 200: Alive, ...FAILURE } },
    },
    async () => ({ ok: true as const }),
  );
  let known: Promise<z.infer<typeof Readiness>> | undefined;
  const forget = () => setTimeout(() => (known = undefined), KNOWN_FOR_MS).unref();
  server.get(
    "/readyz",
    { ...quiet, schema: { ...OPEN, response: { 200: Readiness, 503: Readiness, ...FAILURE } } },
    async (request, reply) => {
      known ??= look(checks, request.log).finally(forget);
      const readiness = await known;
      return reply.code(readiness.ready ? 200 : 503).send(readiness);
    },
  );
}

/** Asks every dependency. Never rejects. */
async function look(
  checks: Readonly<Record<string, Check>>,
  log: Pick<FastifyBaseLogger, "warn">,
): Promise<z.infer<typeof Readiness>> {
  const outcomes = await Promise.all(
    Object.entries(checks).map(async ([name, { check, isRequired }]) => {
      const failure = await failureOf(check);
      if (failure !== undefined) log.warn({ err: failure, check: name }, "not ready");
      return { name, isRequired, isOk: failure === undefined };
    }),
  );
  const states = outcomes.map(({ name, isOk }) => [name, isOk ? "ok" : "failing"] as const);
  return {
    ready: outcomes.every(({ isOk, isRequired }) => isOk || !isRequired),
    checks: Object.fromEntries(states),
  };
}

async function failureOf(check: () => Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer in time")), CHECK_LIMIT_MS);
  });
  try {
    await Promise.race([check(), late]);
    return undefined;
  } catch (error) {
    return error;
  } finally {
    clearTimeout(timer);
  }
}
